"""A table as CSV, for spreadsheets: a head, and a line for each row, as RFC 4180 has them but with bare line feeds.

A cell of text that a spreadsheet could take for a formula gets an apostrophe in front. Hidden characters are written out,
as everywhere; line breaks and tabs stay, in quotes where they need them. `csv` is imported only by who asks for a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cli.output import flush, say_lines
from cli.text import visible

CsvCell = str | int | float | None
"""A text, which may be foreign, a number of ours, or nothing."""

_FORMULA_SIGNS: Final = frozenset("=+-@＝＋－＠")
"""The wide forms, too, which some spreadsheets take for the same."""
_GUARD: Final = "'"


def say_csv(columns: Sequence[str], rows: Iterable[Sequence[CsvCell]]) -> None:
    """Print a head and the rows, one after another, so that the rows may be made while they are printed."""
    import csv  # noqa: PLC0415 - few ask for it

    lines = csv.writer(_Lines(), lineterminator="\n")
    lines.writerow(columns)
    for row in rows:
        lines.writerow([_cell(value) for value in row])
    flush()


class _Lines:
    """What the writer writes to. Each line has been made visible, cell by cell."""

    def write(self, text: str) -> None:
        say_lines(text)


def _cell(value: CsvCell) -> str | int | float:
    if not isinstance(value, str):
        return "" if value is None else value
    text = visible(value, is_multiline=True, keeps_tabs=True)
    # Behind blanks, too: some spreadsheets trim a cell before they look at it.
    return f"{_GUARD}{text}" if text.lstrip()[:1] in _FORMULA_SIGNS else text
