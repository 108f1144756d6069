"""Tasks as CSV: a column for each field of a task's JSON, a line for each task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cli.csv_table import CsvCell, say_csv
from ledger import FIELDS, Task
from projections import snapshot_of


def say_tasks_csv(tasks: Iterable[Task]) -> None:
    """Print a head and the tasks. The tags of a task are in one cell, separated by commas."""
    names = [field.name for field in FIELDS]
    say_csv(names, ([_cell(getattr(snapshot, name)) for name in names] for snapshot in map(snapshot_of, tasks)))


def _cell(value: Any) -> CsvCell:  # noqa: ANN401 - each field has its type
    return ", ".join(value) if isinstance(value, tuple) else value
