"""Texts, names and tags: what is taken, trimmed or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger import (
    AssignTask,
    CancelTask,
    Command,
    CompleteTask,
    CreateTask,
    DescribeTask,
    DesiredTask,
    FailTask,
    InvalidValueError,
    NoteTask,
    StartTask,
    TagTask,
    check_name,
    check_tags,
    check_text,
)
from tests.support.builders import TASK

# Persian (spelled with a zero-width non-joiner), a family joined by zero-width joiners, a heart with a variation selector.
JOINED = ["می\u200cخواهم", "👩\u200d👩\u200d👧", "❤️", "क्\u200dष"]

UNPRINTABLE = [
    "a\0b",
    "a\nb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x9bb",
    "a\u202eb",
    "a\u2066b",
    "a\u200fb",
    "a\u200bb",
    "a\u2028b",
    "a\ufeffb",
    "a\u00adb",
    "a\u00a0b",
    "a\ud800b",
    "a\ue000b",
]


@pytest.mark.parametrize(
    "text",
    ["x", " x ", "two\nlines\n", "\ttab", "a\x1b[31mred", "a\u202eb", "\x01", *JOINED, "x" * 65_536],
    ids=lambda text: ascii(text[:10]),
)
def test_text_is_kept_as_it_is(text: str) -> None:
    """Any Unicode but NUL, up to 64 KiB, and never trimmed: what somebody wrote is what is read back."""
    assert check_text(text, "description") == text


@pytest.mark.parametrize("text", ["", " ", "\n", "\t \r\n", "\u00a0", "\u2003"], ids=ascii)
def test_text_without_content_is_refused(text: str) -> None:
    """Nothing, or only white space, says nothing."""
    with pytest.raises(InvalidValueError, match="The note is empty"):
        check_text(text, "note")


@pytest.mark.parametrize("text", ["\0", "a\0", "a\0b"], ids=ascii)
def test_text_with_nul_is_refused(text: str) -> None:
    """NUL ends strings in other programs."""
    with pytest.raises(InvalidValueError, match="NUL"):
        check_text(text, "result")


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\ude00\ud83d"], ids=ascii)
def test_text_with_lone_surrogate_is_refused(text: str) -> None:
    """Half a character cannot be stored; a terminal hands over such for bytes that are no UTF-8."""
    with pytest.raises(InvalidValueError, match="UTF-8"):
        check_text(text, "result")


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("x" * 65_536, True),
        ("x" * 65_537, False),
        ("ä" * 32_768, True),
        ("ä" * 32_768 + "x", False),
        ("€" * 21_845 + "x", True),
        ("€" * 21_846, False),
        ("😀" * 16_384, True),
        ("😀" * 16_385, False),
        (" " * 65_536 + "x", False),
    ],
    ids=[
        "1 byte fits",
        "1 byte",
        "2 bytes fit",
        "2 bytes",
        "3 bytes fit",
        "3 bytes",
        "4 bytes fit",
        "4 bytes",
        "spaces",
    ],
)
def test_text_limit_counts_bytes(text: str, *, is_taken: bool) -> None:
    """64 KiB of UTF-8 are taken, one byte more is refused with its size."""
    if is_taken:
        assert check_text(text, "description") == text
        return
    with pytest.raises(InvalidValueError, match=f"{len(text.encode()):,} bytes"):
        check_text(text, "description")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("worker-1", "worker-1"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("  trimmed \n", "trimmed"),
        ("名前", "名前"),
        ("x", "x"),
        ("x" * 128, "x" * 128),
        (f" {'x' * 128} ", "x" * 128),
        ("ä" * 128, "ä" * 128),
        *((text, text) for text in JOINED),
    ],
)
def test_name_is_trimmed_and_kept(name: str, kept: str) -> None:
    """1 to 128 printable characters; spaces inside are part of people's names."""
    assert check_name(name, "agent name") == kept


@pytest.mark.parametrize("name", ["", " ", "\n\t", "x" * 129, *UNPRINTABLE], ids=lambda name: ascii(name[:10]))
def test_name_that_does_not_fit_is_refused(name: str) -> None:
    """Empty, too long, or with a character that hides, breaks or turns text."""
    with pytest.raises(InvalidValueError, match=r"The alias .* 1 to 128 printable"):
        check_name(name, "alias")


@pytest.mark.parametrize("name", ["\u200d", "\u200c", "\u200d\u200c\u200d", "\u200d \u200d"], ids=ascii)
def test_name_of_joiners_only_is_refused(name: str) -> None:
    """Joiners are taken between what they join; alone they are a name that nobody can see."""
    with pytest.raises(InvalidValueError):
        check_name(name, "agent name")


@pytest.mark.parametrize("tag", ["", " ", "x" * 65, *UNPRINTABLE], ids=lambda tag: ascii(tag[:10]))
def test_tag_that_does_not_fit_is_refused(tag: str) -> None:
    """1 to 64 printable characters."""
    with pytest.raises(InvalidValueError, match=r"The tag .* 1 to 64 printable"):
        check_tags(["fine", tag])


def test_tags_are_trimmed_sorted_and_each_once() -> None:
    """So the same tags are the same bytes, however they were given."""
    longest = "x" * 64
    assert check_tags([" b", "a", "b ", "two words", longest, "a"]) == ("a", "b", "two words", longest)
    assert check_tags([]) == ()


def test_unprintable_character_is_named() -> None:
    """The message says which character, by its code point, because it cannot be seen."""
    with pytest.raises(InvalidValueError, match=r"U\+202E"):
        check_name("a\u202eb", "agent name")


@pytest.mark.parametrize(
    "make",
    [
        lambda: CreateTask(task_id=TASK, description=""),
        lambda: CreateTask(task_id=TASK, description="x", tags=("",)),
        lambda: CreateTask(task_id=TASK, description="x", alias=""),
        lambda: CreateTask(task_id=TASK, description="x", agent=""),
        lambda: AssignTask(task_id=TASK, agent="a\nb"),
        lambda: StartTask(task_id=TASK, agent=""),
        lambda: CompleteTask(task_id=TASK, result=" "),
        lambda: CompleteTask(task_id=TASK, agent="x" * 129),
        lambda: FailTask(task_id=TASK, error="a\0b"),
        lambda: CancelTask(task_id=TASK, reason="x" * 65_537),
        lambda: DescribeTask(task_id=TASK, description="\n"),
        lambda: NoteTask(task_id=TASK, text="\ud800"),
        lambda: TagTask(task_id=TASK, added=("x" * 65,)),
        lambda: TagTask(task_id=TASK, removed=("\t",)),
        lambda: DesiredTask(description="x", alias=""),
        lambda: DesiredTask(description=" "),
        lambda: DesiredTask(description="x", tags=("\x1b",)),
    ],
    ids=range(17),
)
def test_wish_with_bad_value_cannot_be_made(make: Callable[[], Command | DesiredTask]) -> None:
    """A command or wish that exists holds only values that fit."""
    with pytest.raises(InvalidValueError):
        make()


def test_command_holds_its_values_trimmed() -> None:
    """Names and tags are trimmed as the command is made; texts stay; absent values stay absent."""
    command = CreateTask(task_id=TASK, description=" text ", tags=(" b ", "a"), alias=" bd-1 ", agent="\tbob ")
    assert (command.description, command.tags, command.alias, command.agent) == (" text ", ("a", "b"), "bd-1", "bob")
    assert CompleteTask(task_id=TASK).result is None
