"""Divergence: finds the event after which a snapshot or a view entry no longer matched the ledger."""

from __future__ import annotations

from copy import copy

import msgspec

from ledger import EventStore, LedgerDamagedError, Position, RecordedEvent, Task, evolve_known
from projections.checking.comparison import Difference, DifferenceKind
from projections.snapshots import is_snapshot_of


def diverged_after(store: EventStore, difference: Difference) -> Position | None:
    """The position after which they diverged; None if the difference is not of one task, or its history is damaged.

    For a snapshot that once was right, this is the last event that it knows. For a snapshot that never was right or is
    missing, and for entries, it is the task's last event.
    """
    if difference.task_id is None or difference.kind is DifferenceKind.UNKNOWN_KEY:
        return None
    task: Task | None = None
    last: Position | None = None
    claimed = _claimed_position(difference.actual)
    for recorded in _whole_history(store, difference.task_id):
        task = evolve_known(copy(task), recorded)
        last = recorded.position
        is_the_same = (
            task is not None and type(difference.actual) is str and is_snapshot_of(difference.actual.encode(), task)
        )
        if is_the_same or last == claimed:
            return last
    return last


def _whole_history(store: EventStore, task_id: str) -> list[RecordedEvent]:
    try:
        return store.history(task_id)
    except LedgerDamagedError:
        return []


def _claimed_position(snapshot: str | int | None) -> str | None:
    """The position that a snapshot names as its own."""
    try:
        return str(msgspec.json.decode(str(snapshot))["position"])
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
        return None
