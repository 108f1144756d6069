"""Reads what differs between two moments of a town from the events between them, once.

The state of a task before them is folded from its own earlier events. So the cost depends on the events between the moments and
on the histories of the tasks that they touch, and not on the size of the town.
"""

from __future__ import annotations

from typing import Final

from ledger import EventStore, Position
from projections import BoardDiff, Differing, no_garbage_collection

BATCH_EVENTS: Final = 1_000
"""How many events are read at once. Each batch asks for the earlier events of the tasks that it meets first."""


def diff_between(store: EventStore, since: Position, until: Position, *, task_id: str | None = None) -> BoardDiff:
    """The tasks that differ right after `until` from right after `since`, which is not later, or the one task.

    Both are positions of events, or BEGINNING. LedgerDamagedError.
    """
    if task_id is not None:
        return _diff_of_task(store, since, until, task_id)
    differing = Differing(since)
    with no_garbage_collection():
        for batch in store.read_batches(since, upto=until, limit=BATCH_EVENTS) if since < until else ():
            differing.fold(batch, store.histories_upto(differing.unknown(batch)))
        return differing.diff(until)


def _diff_of_task(store: EventStore, since: Position, until: Position, task_id: str) -> BoardDiff:
    history = [recorded for recorded in store.history(task_id) if recorded.position <= until]
    earlier = [recorded for recorded in history if recorded.position <= since]
    differing = Differing(since)
    differing.fold(history[len(earlier) :], {task_id: earlier})
    return differing.diff(until)
