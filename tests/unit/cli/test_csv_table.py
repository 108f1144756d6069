"""CSV: what a spreadsheet reads back, and what it must not take for a formula."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.csv_table import CsvCell, say_csv
from cli.text import visible


def printed(capsys: pytest.CaptureFixture[str], *rows: list[CsvCell]) -> list[list[str]]:
    """What a reader of CSV finds below the head."""
    capsys.readouterr()
    say_csv(["a", "b"], rows)
    head, *found = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert head == ["a", "b"]
    return found


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1+1", "\t=1+1", "\n=1+1", "＝1", "＠x"])
def test_text_that_begins_like_a_formula_is_guarded(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An apostrophe comes first, which makes it text in a spreadsheet; blanks before the sign do not help."""
    assert printed(capsys, [text, "x"]) == [[f"'{text}", "x"]]


def test_numbers_and_nothing_stay_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A negative number of ours is no formula; nothing is an empty cell."""
    assert printed(capsys, [-5, None], [0, 1.5]) == [["-5", ""], ["0", "1.5"]]


def test_separators_quotes_and_line_breaks_stay_in_their_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """In quotes; a carriage return before a line feed is no part of a text here, as everywhere."""
    assert printed(capsys, ['say "a, b"; c', "one\r\ntwo\tthree"]) == [['say "a, b"; c', "one\ntwo\tthree"]]


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """As on every other way out."""
    assert printed(capsys, ["\x1b[31m", "a\rb"]) == [["\\x1b[31m", "a\\x0db"]]


@given(st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=2), max_size=4))
def test_every_text_comes_back_and_none_is_a_formula(rows: list[list[CsvCell]]) -> None:
    """As it is shown, behind at most one apostrophe."""
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr(sys, "stdout", out)
        say_csv(["a", "b"], rows)
    _, *found = csv.reader(io.StringIO(out.getvalue(), newline=""))
    for row, cells in zip(rows, found, strict=True):
        for text, cell in zip(row, cells, strict=True):
            shown = visible(str(text), is_multiline=True, keeps_tabs=True)
            assert cell in (shown, f"'{shown}")
            assert cell.lstrip()[:1] not in set("=+-@")


def test_csv_is_imported_only_by_who_asks_for_a_table() -> None:
    """The module of a command may import this one, and no command pays for it."""
    program = "import sys, cli.csv_table; sys.exit('csv' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
