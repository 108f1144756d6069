"""Board steps: events with their tasks right before and after each, so that a board can be led on and back without a fold.

They are made from the histories of the tasks that the events touch, which takes as long in any town.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy

from msgspec import Struct

from ledger import BEGINNING, TOWN_ID, EventStore, Position, RecordedEvent, Task, evolve
from projections import fold_task


class BoardStep(Struct, frozen=True):
    """An event, and its task as it was right before and right after it; None where there was none. A fact of the town has no task."""

    event: RecordedEvent
    before: Task | None
    after: Task | None


def read_steps_after(store: EventStore, after: Position, *, limit: int) -> list[BoardStep]:
    """The next `limit` steps after the event at `after`, or after BEGINNING; oldest first. LedgerDamagedError."""
    return list(_steps(store, store.read(after, limit=limit)))


def read_steps_upto(store: EventStore, upto: Position, *, limit: int) -> list[BoardStep]:
    """The last `limit` steps up to the event at `upto`, oldest first; none for BEGINNING. LedgerDamagedError."""
    if upto == BEGINNING:
        return []
    events = (
        [*store.read_back(upto, limit=limit - 1)[::-1], *store.events_at([upto])]
        if limit > 1
        else store.events_at([upto])
    )
    return list(_steps(store, events))


def _steps(store: EventStore, events: list[RecordedEvent]) -> Iterator[BoardStep]:
    tasks = _tasks_before(store, events)
    for recorded in events:
        if recorded.task == TOWN_ID:
            yield BoardStep(recorded, None, None)
            continue
        before = copy(tasks[recorded.task])
        tasks[recorded.task] = evolve(tasks[recorded.task], recorded)
        yield BoardStep(recorded, before, copy(tasks[recorded.task]))


def _tasks_before(store: EventStore, events: Iterable[RecordedEvent]) -> dict[str, Task | None]:
    """The tasks of these events as they are before the first event of each."""
    ends: dict[str, str | None] = {}
    for recorded in events:
        if recorded.task != TOWN_ID:
            ends.setdefault(recorded.task, recorded.prev)
    histories = store.histories_upto({task: at for task, at in ends.items() if at is not None})
    return {task: None if at is None else fold_task(histories[task]) for task, at in ends.items()}
