"""Claim: takes the next task for an agent, and tells which events may bring one."""

from __future__ import annotations

from typing import Final

from ledger import (
    Event,
    RecordedEvent,
    RunMark,
    Task,
    TaskAdopted,
    TaskAnswered,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskMoved,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskTagged,
    TaskUnlinked,
)
from town.agents.workplace import Workplace
from town.errors import OvertakenError
from town.runs.heartbeat import Heartbeat

_BRINGS_WORK: Final[frozenset[type[Event]]] = frozenset(
    {
        TaskCreated,
        TaskAdopted,
        TaskRequeued,
        TaskReopened,
        TaskTagged,
        TaskMoved,
        TaskScheduled,
        TaskUnlinked,
        TaskAnswered,
        TaskCompleted,
        TaskFailed,
        TaskCancelled,
        TaskRemoved,
    }
)
"""The facts that may bring work: they make a task pending, fit for a role, or no longer wait for another one."""


class Claimer:
    """Takes tasks for `agent`: first its own, then those of the backlog with one of `roles` as a tag; () means any."""

    def __init__(self, agent: str, roles: tuple[str, ...]) -> None:
        self._agent = agent
        self._roles = roles

    def take(self, town: Workplace, mark: RunMark, heartbeat: Heartbeat) -> Task | None:
        """Start the first task that can be begun and return it as started, with its heartbeat. None if there is none.

        EventsLostError: nothing is begun where events are lost.
        """
        found = town.reader.ready(agent=self._agent, roles=self._roles, limit=1).tasks
        # What it looks for may be among what is gone.
        town.backend.store.refuse_loss()
        if not found:
            return None
        # Before the task starts: a running task without a heartbeat counts as lost.
        heartbeat.begin()
        while True:
            try:
                taken = town.verbs.take_next(self._agent, roles=self._roles, is_started=True, run=mark)
            except OvertakenError:
                # Somebody made progress each time, and there may be work left.
                continue
            return None if taken is None else taken.task

    def may_bring_work(self, recorded: RecordedEvent) -> bool:
        """Whether this event may make a task available when there was none before."""
        data = recorded.data
        return data.agent == self._agent if isinstance(data, TaskAssigned) else type(data) in _BRINGS_WORK
