"""Causes: the events behind a task's present state, from its creation on. Pure.

An event that neither moves the task nor lets it wait or go on, such as a note or a tag, is not a cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ledger.events import (
    Event,
    TaskAdopted,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
)
from ledger.recorded_event import RecordedEvent
from ledger.soundness import flaw_of
from ledger.state import State
from ledger.task import Task, evolve_known, in_order

LOST: Final = "lost:"
"""How the reason begins if a task is taken back from a runner that shows no sign of life."""


class CauseKind(StrEnum):
    """What an event meant for the task that it met."""

    CREATED = "created"
    BROUGHT_BACK = "brought back"
    ADOPTED = "adopted"
    GIVEN = "given"
    TAKEN = "taken"
    HANDED_OVER = "handed over"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"
    LOST = "lost"
    REOPENED = "reopened"
    ASKED = "asked"
    ANSWERED = "answered"
    REMOVED = "removed"
    DAMAGED = "damaged"


class Cause(Struct, frozen=True):
    """An event that moved a task: what it meant, and the state and holder before and after it. None if there was no task."""

    kind: CauseKind
    event: RecordedEvent
    state_before: State | None
    state_after: State | None
    agent_before: str | None
    agent_after: str | None
    flaw: str | None = None
    """What is wrong with the event if no command can make it. No later event moved the task."""


_KINDS: Final[dict[type[Event], CauseKind]] = {
    TaskAdopted: CauseKind.ADOPTED,
    TaskStarted: CauseKind.STARTED,
    TaskCompleted: CauseKind.COMPLETED,
    TaskFailed: CauseKind.FAILED,
    TaskCancelled: CauseKind.CANCELLED,
    TaskReopened: CauseKind.REOPENED,
    TaskAsked: CauseKind.ASKED,
    TaskAnswered: CauseKind.ANSWERED,
    TaskRemoved: CauseKind.REMOVED,
}
"""The events that always mean the same."""


def causes(events: Iterable[RecordedEvent]) -> list[Cause]:
    """The events behind the state of one task, out of all its events, oldest first. They begin with its last creation."""
    found: list[Cause] = []
    task: Task | None = None
    for recorded in in_order(events):
        if task is not None and task.damaged_at is not None:
            break
        before = copy(task)
        flaw = flaw_of(before, recorded)
        task = evolve_known(task, recorded)
        kind = CauseKind.DAMAGED if flaw is not None else _kind(before, recorded)
        if kind is None:
            continue
        if before is None:
            found.clear()
        found.append(
            Cause(
                kind,
                recorded,
                state_before=None if before is None else before.state,
                state_after=None if task is None else task.state,
                agent_before=None if before is None else before.holder,
                agent_after=None if task is None else task.holder,
                flaw=flaw,
            )
        )
    return found


def _kind(before: Task | None, recorded: RecordedEvent) -> CauseKind | None:
    """What the event means. None if it is not a cause."""
    data = recorded.data
    if isinstance(data, TaskCreated):
        return CauseKind.CREATED if recorded.version == 1 else CauseKind.BROUGHT_BACK
    if isinstance(data, TaskAssigned):
        if before is not None and before.holder not in (None, data.agent):
            return CauseKind.HANDED_OVER
        return CauseKind.TAKEN if recorded.actor == data.agent else CauseKind.GIVEN
    if isinstance(data, TaskRequeued):
        return CauseKind.LOST if (recorded.reason or "").startswith(LOST) else CauseKind.REQUEUED
    return _KINDS.get(type(data))
