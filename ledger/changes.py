"""What an event changed: the fields of a task before and after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger.recorded_event import RecordedEvent
from ledger.soundness import flaw_in, flaw_of
from ledger.task import FIELDS, Field, Task, evolve_known, in_order
from ledger.times import format_ms

_COMPARED: Final = tuple(field for field in FIELDS if field.is_compared)
_NOTHING: Final = tuple(field.empty for field in _COMPARED)
_compared_values: Final = attrgetter(*(field.attribute for field in _COMPARED))

Value = str | int | tuple[str, ...] | None


class FieldChange(NamedTuple):
    """A field of the snapshot, and its value before and after."""

    field: str
    before: Value
    after: Value


class Step(Struct, frozen=True):
    """One event of a history and what it changed."""

    event: RecordedEvent
    changes: tuple[FieldChange, ...]
    flaw: str | None = None
    """What is wrong with an event that no command can make, in words. Later events change nothing either."""


def steps(events: Iterable[RecordedEvent]) -> list[Step]:
    """Each of a task's events, oldest first, with what it changed, but for versions and times, which every event changes."""
    found: list[Step] = []
    task: Task | None = None
    for recorded in in_order(events):
        before = copy(task)
        is_damaged = before is not None and before.damaged_at is not None
        flaw = flaw_in(recorded) if is_damaged else flaw_of(before, recorded)
        task = evolve_known(task, recorded)
        found.append(Step(recorded, compare(before, task), flaw))
    return found


def compare(before: Task | None, after: Task | None) -> tuple[FieldChange, ...]:
    """The fields that differ. A task that does not exist has empty fields."""
    old = _NOTHING if before is None else _compared_values(before)
    new = _NOTHING if after is None else _compared_values(after)
    if old == new:
        return ()
    # Raw values are compared first: few of them differ, and what readers see takes longer to make.
    pairs = [
        (field, _shown(was, field), _shown(now, field))
        for field, was, now in zip(_COMPARED, old, new, strict=True)
        if was != now
    ]
    return tuple([FieldChange(field.name, was, now) for field, was, now in pairs if was != now])


def value_of(task: Task | None, field: Field) -> Value:
    """A field of a task as readers see it. A task that does not exist has what nobody set."""
    return _shown(field.empty if task is None else getattr(task, field.attribute), field)


def _shown(value: Any, field: Field) -> Value:  # noqa: ANN401 - each field has its type
    if value is None or value == ():
        return None
    shown: Value = format_ms(value) if field.form == "time" else value
    return shown
