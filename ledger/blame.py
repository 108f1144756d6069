"""Blame: which event set each field of a task, each line of a text and each tag. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Final

from msgspec import Struct

from ledger.changes import Value, value_of
from ledger.recorded_event import RecordedEvent
from ledger.task import FIELDS, Task, evolve_known, in_order
from ledger.text_diff import Effort, common_runs

_BLAMED: Final = tuple(field for field in FIELDS if field.name != "id")

Part = tuple[str, RecordedEvent]
"""A line of a text, or a tag, and the event that brought it."""


class Blamed(Struct, frozen=True):
    """A field's value, and the event that set it.

    The value is None if the event emptied it. A field that never had a value since the task was created has no `Blamed`.
    """

    field: str
    value: Value
    event: RecordedEvent
    parts: tuple[Part, ...]
    """The lines of a text with several, or the tags, each with its own event. Empty for any other field."""


def blame(events: Iterable[RecordedEvent]) -> tuple[Task | None, list[Blamed]]:
    """Fold a task's events, oldest first, to the task and the event behind each of its fields, in the order of the fields.

    A task that does not exist has no fields. The lines that a text has in common with the one before are found by `text_diff`:
    if two long texts differ too much, only the lines that both begin and end with keep their event.
    """
    task: Task | None = None
    found: dict[str, Blamed] = {}
    effort = Effort()
    for recorded in in_order(events):
        before = copy(task)
        task = evolve_known(task, recorded)
        if task is None:
            found = {}
            continue
        for field in _BLAMED:
            old, new = value_of(before, field), value_of(task, field)
            if old != new:
                last = found.get(field.name)
                found[field.name] = Blamed(field.name, new, recorded, _parts(last, new, recorded, effort))
    return task, [found[field.name] for field in _BLAMED if field.name in found]


def _parts(before: Blamed | None, value: Value, recorded: RecordedEvent, effort: Effort) -> tuple[Part, ...]:
    """The parts of a value that the event set. A part that was there before keeps its event."""
    if isinstance(value, tuple):
        known = {} if before is None else dict(before.parts)
        return tuple((tag, known.get(tag, recorded)) for tag in value)
    if not isinstance(value, str) or "\n" not in value:
        return ()
    known_lines = _lines(before)
    lines = value.split("\n")
    events = [recorded] * len(lines)
    for run in common_runs([line for line, _ in known_lines], lines, effort):
        for place in range(run.length):
            events[run.after + place] = known_lines[run.before + place][1]
    return tuple(zip(lines, events, strict=True))


def _lines(blamed: Blamed | None) -> Sequence[Part]:
    if blamed is None or blamed.parts or not isinstance(blamed.value, str):
        return () if blamed is None else blamed.parts
    return ((blamed.value, blamed.event),)
