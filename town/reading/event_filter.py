"""EventFilter: which events a reader wants. Pure."""

from __future__ import annotations

from msgspec import Struct

from ledger import (
    RecordedEvent,
    TaskAssigned,
    TaskCreated,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
)


class EventFilter(Struct, frozen=True, kw_only=True):
    """Matches events for which all given conditions hold; None is no condition.

    `agent` had the task when the event happened, `actor` caused it, `type` is the event's name on the wire.
    """

    agent: str | None = None
    actor: str | None = None
    type: str | None = None

    def matches(self, recorded: RecordedEvent) -> bool:
        """Whether the event itself fits. `Holders` knows who had the task."""
        return self.actor in (None, recorded.actor) and self.type in (None, recorded.type)


EVERY_EVENT = EventFilter()


class Holders:
    """Tracks who has each task, event by event from the ledger's beginning."""

    def __init__(self) -> None:
        self._agents: dict[str, str] = {}

    def concerns(self, recorded: RecordedEvent, agent: str) -> bool:
        """Take in the next event. Returns whether `agent` had its task before it or has it after it."""
        before = self._agents.get(recorded.task)
        if isinstance(recorded.data, TaskAssigned):
            self._agents[recorded.task] = recorded.data.agent
        elif isinstance(recorded.data, TaskCreated | TaskRequeued | TaskReopened | TaskRemoved):
            self._agents.pop(recorded.task, None)
        return agent in (before, self._agents.get(recorded.task))
