"""The events of `tt log`, and their counts, as CSV: a line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cli.beside import Beside
from cli.csv_table import CsvCell, say_csv
from cli.log_lines import Count, GroupedBy
from cli.render import event_details
from ledger import RecordedEvent, format_ms

if TYPE_CHECKING:
    from town import Title

_COLUMNS: Final = (
    "number", "position", "time", "actor", "type", "task", "alias", "title", "details", "reason", "cause", "flaw", "notes"
)  # fmt: skip


def say_log_csv(events: Sequence[RecordedEvent], beside: Beside) -> None:
    """Print a head and the events. Times are UTC; the notes on an event are in one cell, a line each."""
    say_csv(_COLUMNS, (_row(recorded, beside) for recorded in events))


def say_counts_csv(groups: Mapping[str, Count], by: GroupedBy | None, titles: Mapping[str, Title]) -> None:
    """Print a head and the counts of all groups, with the alias and title of each task."""
    named = by is GroupedBy.TASK
    head = [str(by or "type"), *(["alias", "title"] if named else []), *Count().numbers]
    rows = (
        [name, *(_title_cells(titles.get(name)) if named else []), *count.numbers.values()]
        for name, count in groups.items()
    )
    say_csv(head, rows)


def _row(recorded: RecordedEvent, beside: Beside) -> list[CsvCell]:
    notes = beside.notes.get(recorded.at, ())
    return [
        recorded.position.seq,
        recorded.at,
        format_ms(recorded.position.ms),
        recorded.actor,
        recorded.type,
        recorded.task,
        *_title_cells(beside.titles.get(recorded.task)),
        event_details(recorded, names=beside.names),
        recorded.reason,
        recorded.cause,
        beside.flaws.get(recorded.at),
        "\n".join(f"{note.actor}: {note.text}" for note in notes) or None,
    ]


def _title_cells(title: Title | None) -> list[CsvCell]:
    return [None, None] if title is None else [title.alias, title.text]
