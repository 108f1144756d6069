"""Tasks as CSV: a column for each field of a task's JSON, a line for each task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cli.csv_table import CsvCell, say_csv
from ledger import FIELD_NAMES, Task
from shapes.task import shape_of


def say_tasks_csv(tasks: Iterable[Task]) -> None:
    """Print a head and the tasks. The tags of a task are in one cell, separated by commas."""
    say_csv(FIELD_NAMES, ([_cell(getattr(shape, name)) for name in FIELD_NAMES] for shape in map(shape_of, tasks)))


def _cell(value: Any) -> CsvCell:  # noqa: ANN401 - each field has its type
    return ", ".join(value) if isinstance(value, tuple) else value
