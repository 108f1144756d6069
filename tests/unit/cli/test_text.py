"""Words for a terminal: numbers, times and names as people read them. What is made visible, test_gate.py holds."""

from __future__ import annotations

import pytest

from cli.text import counted, duration, event_number, name_of, short_id, visible
from ledger import Position
from tests.support.builders import TASK, a_task


@pytest.mark.parametrize(
    ("text", "line", "lines"),
    [
        ("plain ✅", "plain ✅", "plain ✅"),
        ("one\ntwo", "one ⏎ two", "one\ntwo"),
        ("one\r\ntwo", "one ⏎ two", "one\ntwo"),
        ("back\rspace", "back\\x0dspace", "back\\x0dspace"),
        ("tab\there", "tab\\x09here", "tab\\x09here"),
        ("\x1b[2J", "\\x1b[2J", "\\x1b[2J"),
        ("\u202egnp.exe", "\\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_visible_keeps_line_breaks_only_where_there_is_room(text: str, line: str, lines: str) -> None:
    """In a table a line break is ⏎; in a text it stays. Everything else that a terminal obeys is written out in both."""
    assert (visible(text), visible(text, is_multiline=True)) == (line, lines)


@pytest.mark.parametrize("text", ["a\tb", "a\n\tb\x1b"])
def test_visible_keeps_tabs_where_it_is_asked_to(text: str) -> None:
    """An error of Python has them; the escape beside one is written out all the same."""
    assert visible(text, is_multiline=True, keeps_tabs=True) == text.replace("\x1b", "\\x1b")


def test_name_of_a_task_is_its_alias_else_the_beginning_of_its_id() -> None:
    """As people type it; an alias is made visible."""
    assert name_of(a_task()) == short_id(TASK) == "550e8400"
    assert name_of(a_task(alias="auth\u202e")) == "auth\\u202e"


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (59_499, "59 s"),
        (59_500, "1 m"),
        (200_000, "3 m 20 s"),
        (3_600_000, "1 h"),
        (18_600_000, "5 h 10 m"),
        (86_399_999, "1 d"),
        (187_200_000, "2 d 4 h"),
        (90_059_000, "1 d 1 h"),
    ],
)
def test_duration_has_two_units_at_most(ms: int, shown: str) -> None:
    """The larger one first, the second only where it is not 0; a unit is never full, such as 60 s."""
    assert duration(ms) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks"), (2_000, "2,000 tasks")])
def test_counted_says_one_and_many(number: int, shown: str) -> None:
    """Only one is without an s."""
    assert counted(number, "task") == shown


def test_event_number_is_the_place_in_the_ledger() -> None:
    """Without a separator: it is typed after `--at`."""
    assert event_number(Position.of(ms=1_795_398_503_973, seq=522_000)) == "522000"
