"""Inbox: what waits for a person, now or at any moment: open questions, failed tasks that nobody dealt with, reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ledger import EventStore, LedgerDamagedError, Position, RecordedEvent, Task, TaskAsked
from projections import InboxPage

EVENTS_SEARCHED: Final = 20
"""Among how many of a task's last events its question is looked for, before its whole history is read."""


class Inbox(Struct, frozen=True):
    """Questions and reviews come oldest first, failed tasks newest first. `running` is how many tasks are running.

    `asked` has the event that asked each question, by the id of its task, as far as it can be read.
    """

    questions: InboxPage
    failed: InboxPage
    reviews: InboxPage
    asked: dict[str, RecordedEvent]
    running: int

    @property
    def total(self) -> int:
        """How many things wait, without lost runs."""
        return self.questions.total + self.failed.total + self.reviews.total


def read_asked(store: EventStore, tasks: Sequence[Task], *, upto: Position | None = None) -> dict[str, RecordedEvent]:
    """The event that asked the last question of each of these tasks, at or before `upto`. Source: history.lua."""
    try:
        last = store.last_events([task.id for task in tasks], limit=EVENTS_SEARCHED) if tasks else []
    except LedgerDamagedError:
        return {}
    found: dict[str, RecordedEvent] = {}
    for task, events in zip(tasks, last, strict=True):
        asked = _last_asked(events, upto)
        if asked is None and len(events) == EVENTS_SEARCHED:
            asked = _last_asked(_whole_history(store, task), upto)
        if asked is not None:
            found[task.id] = asked
    return found


def _whole_history(store: EventStore, task: Task) -> list[RecordedEvent]:
    """Newest first; empty if it cannot be read."""
    try:
        return store.history(task.id)[::-1]
    except LedgerDamagedError:
        return []


def _last_asked(events: Sequence[RecordedEvent], upto: Position | None) -> RecordedEvent | None:
    """The newest event that asked, of events that come newest first."""
    asked = (each for each in events if isinstance(each.data, TaskAsked))
    return next((each for each in asked if upto is None or each.position <= upto), None)
