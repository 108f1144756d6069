"""Why: the events behind a task's state, and the events that these name as their `cause`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ledger import Cause, EventStore, Position, RecordedEvent, Task

CAUSES_FOLLOWED_MAX: Final = 20
"""How many times the causes of causes are followed."""


class Why(Struct, frozen=True):
    """A task, None if it was removed, and the events behind that, oldest first."""

    task_id: str
    task: Task | None
    known_as: Task | None
    """The task, or if it was removed, the task right before that."""
    causes: Sequence[Cause]
    led_by: Mapping[str, RecordedEvent]
    """Position -> the event there, of all events that are named as a cause, directly or through others."""


def read_causes(store: EventStore, events: Iterable[RecordedEvent]) -> dict[str, RecordedEvent]:
    """Position -> the event there, of the causes that `events` name, and of their causes. A position without an event is left out."""
    found: dict[str, RecordedEvent] = {}
    asked: set[str] = set()
    for _ in range(CAUSES_FOLLOWED_MAX):
        wanted = {recorded.cause for recorded in events if recorded.cause is not None} - asked
        if not wanted:
            break
        asked |= wanted
        events = store.events_at([Position(each) for each in sorted(wanted)])
        found |= {recorded.at: recorded for recorded in events}
    return found
