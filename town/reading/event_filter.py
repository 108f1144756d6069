"""EventFilter: which events a reader wants. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from ledger import (
    RecordedEvent,
    TaskAdopted,
    TaskAssigned,
    TaskCreated,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    Unfit,
)

_NO_WORDS: Final = frozenset(
    {"parent_id", "position", "records", "created_at", "updated_at", "started_at", "completed_at"}
)
"""The fields of facts that hold ids, times and old records, which are no words of the event."""


class EventFilter(Struct, frozen=True, kw_only=True):
    """Matches events for which all given conditions hold; None is no condition.

    `agent` had the task when the event happened, `actor` caused it, `type` is the event's name on the wire, `text` is in its
    words in upper or lower case, and its task is one of `tasks`, which are ids.
    """

    agent: str | None = None
    actor: str | None = None
    type: str | None = None
    text: str | None = None
    tasks: frozenset[str] | None = None

    def matches(self, recorded: RecordedEvent) -> bool:
        """Whether the event itself fits. Who had the task stands in earlier events."""
        return (
            self.actor in (None, recorded.actor)
            and self.type in (None, recorded.type)
            and (self.tasks is None or recorded.task in self.tasks)
            and (self.text is None or has_text(recorded, self.text))
        )


EVERY_EVENT = EventFilter()


def has_text(recorded: RecordedEvent, text: str) -> bool:
    """Whether the event's words contain `text`, in upper or lower case: what it says of the task, and its reason."""
    folded = text.casefold()
    return any(folded in words.casefold() for words in _words(recorded))


def _words(recorded: RecordedEvent) -> Iterator[str]:
    if recorded.reason is not None:
        yield recorded.reason
    data = recorded.data
    if isinstance(data, Unfit):
        yield str(data.content)
        return
    for name in data.__struct_fields__:
        value = None if name in _NO_WORDS else getattr(data, name)
        if type(value) is str:
            yield value
        elif isinstance(value, tuple):
            yield from value


def sets_holder(recorded: RecordedEvent) -> bool:
    """Whether the event decides who has the task after it."""
    return isinstance(
        recorded.data, TaskAssigned | TaskAdopted | TaskCreated | TaskRequeued | TaskReopened | TaskRemoved
    )


def holder_set_by(recorded: RecordedEvent) -> str | None:
    """Who has the task after an event that `sets_holder`; None if nobody has it."""
    if isinstance(recorded.data, TaskAssigned):
        return recorded.data.agent
    return recorded.data.assigned_to if isinstance(recorded.data, TaskAdopted) else None


class Holders:
    """Tracks who has each task, event by event from the ledger's beginning."""

    def __init__(self) -> None:
        self._agents: dict[str, str | None] = {}

    def concerns(self, recorded: RecordedEvent, agent: str) -> bool:
        """Take in the next event. Returns whether `agent` had its task before it or has it after it."""
        before = self._agents.get(recorded.task)
        if sets_holder(recorded):
            self._agents[recorded.task] = holder_set_by(recorded)
        return agent in (before, self._agents.get(recorded.task))
