"""The lines of `tt log`: events with the titles of their tasks, in groups, and their counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from cli.beside import Beside
from cli.output import Cell
from cli.render import DAMAGE_SIGN, cause_mark, event_details, task_name, title_words, with_notes, without_column
from cli.text import TEXT_CHARS_SHOWN, called, event_number, short_id, shortened, visible
from ledger import TOWN_ID, RecordedEvent
from town import local_day, local_times

if TYPE_CHECKING:
    from town import Title


class GroupedBy(StrEnum):
    """What the events of a group share."""

    DAY = "day"
    ACTOR = "actor"
    TASK = "task"


class Count(Struct):
    """How many events a group has, of how many tasks, and how many of them created, completed or failed one."""

    events: int = 0
    created: int = 0
    completed: int = 0
    failed: int = 0
    tasks: set[str] = set()

    @property
    def numbers(self) -> dict[str, int]:
        """All that is shown of it, by name."""
        return {
            "events": self.events,
            "tasks": len(self.tasks),
            "created": self.created,
            "completed": self.completed,
            "failed": self.failed,
        }


_COUNTED = {"task.created": "created", "task.completed": "completed", "task.failed": "failed"}
TITLE_COLUMN = "TITLE"


def log_rows(
    events: Sequence[RecordedEvent], beside: Beside, *, by: GroupedBy | None = None
) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of a log. What all events of a group share is left out: its day, its actor or its task."""
    zone, times = local_times(recorded.position.time for recorded in events)
    if by is GroupedBy.DAY:
        times = [time.partition(" ")[2] for time in times]
    columns = ["EVENT", f"TIME ({zone})", "ACTOR", "WHAT", "TASK", TITLE_COLUMN]
    rows = [_row(recorded, time, beside, by=by) for recorded, time in zip(events, times, strict=True)]
    if by in (GroupedBy.ACTOR, GroupedBy.TASK):
        return without_column(columns, rows, by.upper())
    return columns, rows


def _row(recorded: RecordedEvent, time: str, beside: Beside, *, by: GroupedBy | None) -> list[Cell]:
    title = beside.titles.get(recorded.task)
    flaw = beside.flaws.get(recorded.at)
    details = event_details(recorded, title, beside.names) if flaw is None else f"{DAMAGE_SIGN} damaged: {flaw}"
    about = "" if by is GroupedBy.TASK else title_words(title)
    details = shortened(visible(details), TEXT_CHARS_SHOWN)
    # A new description begins with the title; it is not said twice.
    words = details if details.startswith(about) else " — ".join(filter(None, [about, details]))
    if recorded.reason is not None:
        words = f"{words} ({shortened(visible(recorded.reason), TEXT_CHARS_SHOWN)})".strip()
    if recorded.cause is not None:
        words = f"{words}  {cause_mark(recorded.cause)}".strip()
    return [
        event_number(recorded.position),
        time,
        visible(recorded.actor),
        visible(recorded.type.partition(".")[2]),
        "" if recorded.task == TOWN_ID else task_name(recorded, title),
        with_notes(words, beside.notes.get(recorded.at, ())),
    ]


def grouped(events: Iterable[RecordedEvent], by: GroupedBy) -> dict[str, list[RecordedEvent]]:
    """The events of each group, in their order; the group of the first event comes first."""
    groups: dict[str, list[RecordedEvent]] = {}
    for recorded in events:
        groups.setdefault(group_of(recorded, by), []).append(recorded)
    return groups


def group_of(recorded: RecordedEvent, by: GroupedBy) -> str:
    """The user's day of an event, its actor, or the id of its task."""
    if by is GroupedBy.DAY:
        return local_day(recorded.position.time).isoformat()
    return recorded.actor if by is GroupedBy.ACTOR else recorded.task


def group_words(group: str, by: GroupedBy, titles: Mapping[str, Title]) -> str:
    """A group as its heading names it."""
    if by is not GroupedBy.TASK:
        return visible(group)
    if group == TOWN_ID:
        return "The town itself"
    title = titles.get(group)
    return short_id(group) if title is None else f"{called(group, title.alias)}  {title_words(title)}"


def count_events(events: Iterable[RecordedEvent], by: GroupedBy | None) -> tuple[Count, dict[str, Count]]:
    """How many there are in all and in each group, or of each type without groups."""
    whole = Count()
    groups: dict[str, Count] = {}
    for recorded in events:
        name = recorded.type if by is None else group_of(recorded, by)
        group = groups.get(name)
        if group is None:
            group = groups[name] = Count()
        for count in (whole, group):
            count.events += 1
            if recorded.task != TOWN_ID:
                count.tasks.add(recorded.task)
            counted = _COUNTED.get(recorded.type)
            if counted is not None:
                setattr(count, counted, getattr(count, counted) + 1)
    # Days as they come, newest first; the others by their size.
    order = (
        groups.items() if by is GroupedBy.DAY else sorted(groups.items(), key=lambda each: (-each[1].events, each[0]))
    )
    return whole, dict(order)


def count_rows(
    groups: Mapping[str, Count], by: GroupedBy | None, titles: Mapping[str, Title], *, zone: str
) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of counts; types need no columns for what is created, completed and failed."""
    if by is None:
        rows: list[list[Cell]] = [
            [name, f"{count.events:,}", f"{len(count.tasks):,}"] for name, count in groups.items()
        ]
        return ["TYPE", "EVENTS", "TASKS"], rows
    head = f"DAY ({zone})" if by is GroupedBy.DAY else str(by).upper()
    rows = [
        [*(f"{number:,}" for number in count.numbers.values()), group_words(name, by, titles)]
        for name, count in groups.items()
    ]
    return [*(name.upper() for name in Count().numbers), head], rows
