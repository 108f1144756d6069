"""Blame: which event gave a task each field that it has, and each line of a text and each tag. Pure."""

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
    """A field as it is, and the event that made it so.

    It is None where the event emptied it; a field that never held anything in this life of the task is nobody's doing.
    """

    field: str
    value: Value
    event: RecordedEvent
    parts: tuple[Part, ...]
    """The lines of a text of several, or the tags, each with its own event; of any other field there are none."""


def blame(events: Iterable[RecordedEvent]) -> tuple[Task | None, list[Blamed]]:
    """The task that its events, oldest first, lead to, and who gave it each of its fields, in their order.

    Of a task that is not there nothing is told. What a text has in common with the one before it is found as `text_diff` says:
    where two long ones differ too much, all lines but those they begin and end with are the newer event's.
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
    """The parts of a value that the event set, those that were there before with the events that brought them."""
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
