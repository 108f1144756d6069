"""Parting: the event after which a snapshot or a view entry stopped being what the ledger says."""

from __future__ import annotations

from copy import copy

import msgspec

from ledger import EventStore, LedgerDamagedError, Position, RecordedEvent, Task, evolve_known
from projections.checking.comparison import Difference, DifferenceKind
from projections.snapshots import is_snapshot_of


def parted_after(store: EventStore, difference: Difference) -> Position | None:
    """The position after which they parted; None where the difference is of no one task, or its history is damaged.

    For a snapshot that once was right, that is its last event as the snapshot knows it. For one that never was, or is
    missing, and for entries, it is the task's last event.
    """
    if difference.task is None or difference.kind is DifferenceKind.STRANGER:
        return None
    task: Task | None = None
    last: Position | None = None
    claimed = _claimed_position(difference.actual)
    for recorded in _whole_history(store, difference.task):
        task = evolve_known(copy(task), recorded)
        last = recorded.position
        is_the_same = (
            task is not None and type(difference.actual) is str and is_snapshot_of(difference.actual.encode(), task)
        )
        if is_the_same or last == claimed:
            return last
    return last


def _whole_history(store: EventStore, task: str) -> list[RecordedEvent]:
    try:
        return store.history(task)
    except LedgerDamagedError:
        return []


def _claimed_position(snapshot: str | int | None) -> str | None:
    """The position that a snapshot says it is of."""
    try:
        return str(msgspec.json.decode(str(snapshot))["position"])
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
        return None
