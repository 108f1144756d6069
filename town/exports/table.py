"""Events as rows of a spreadsheet: CSV with cells that cannot become formulas.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula. So a task's description
could run something on the machine of a person who opens the file. An apostrophe in front makes it text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO, Final

from ledger import Unfit, format_ms
from town.exports.facts import Step, fact_text

TABLE_COLUMNS: Final = (
    "number",
    "time_utc",
    "actor",
    "type",
    "task",
    "alias",
    "description",
    "state",
    "agent",
    "detail",
    "reason",
    "version",
    "position",
)
"""Columns of an event, and of its task right after it; of a removed task, right before it."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""It tells spreadsheets that the file is UTF-8."""
_BEGINS_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")
_QUOTE: Final = "'"
_ROWS_TOGETHER: Final = 1_000


def safe_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula.

    A cell that begins like a formula, or with an apostrophe, gets an apostrophe in front. Without it the text is as it was.
    """
    return f"{_QUOTE}{text}" if text[:1] in _BEGINS_FORMULA or text[:1] == _QUOTE else text


class TableWriter:
    """Writes rows into a file, the names of the columns first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(BYTE_ORDER_MARK)
        self._write([TABLE_COLUMNS])

    def write(self, steps: Iterable[Step]) -> None:
        """Write a row for each event."""
        rows = map(_row, steps)
        # One by one: a step is valid only until the next one.
        while some := list(islice(rows, _ROWS_TOGETHER)):
            self._write(some)

    def _write(self, rows: Iterable[Iterable[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([safe_cell(cell) for cell in row] for row in rows)
        # Only an event that no command can make has a lone surrogate.
        self._file.write(text.getvalue().encode(errors="backslashreplace"))


def _row(step: Step) -> tuple[str, ...]:
    recorded, task = step.recorded, step.after or step.before
    position = recorded.position
    return (
        str(position.seq),
        format_ms(position.ms).replace("T", " ").removesuffix("Z"),
        recorded.actor,
        recorded.type,
        recorded.task,
        (task.alias if task is not None else None) or "",
        task.description if task is not None else "",
        str(task.state) if task is not None else "",
        (task.holder if task is not None else None) or "",
        recorded.data.flaw if isinstance(recorded.data, Unfit) else fact_text(recorded.data),
        recorded.reason or "",
        str(recorded.version),
        str(position),
    )
