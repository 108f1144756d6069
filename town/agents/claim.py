"""Claim: takes the next task for an agent in one append. Of many runners that try, only one succeeds.

It tries tasks one after another, oldest first. After it loses a race, it tries the rest of the page in random order:
many runners that wake up together would otherwise compete for every task.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import SystemRandom
from typing import Final

from ledger import (
    Event,
    RecordedEvent,
    RunMark,
    State,
    Task,
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
    TaskTagged,
    WrongExpectedVersionError,
)
from projections import TaskFilter
from town.agents.workplace import Workplace
from town.runs.heartbeat import Heartbeat

CANDIDATES_MAX: Final = 32
_BRINGS_WORK: Final[tuple[type[Event], ...]] = (
    TaskCreated,
    TaskRequeued,
    TaskReopened,
    TaskTagged,
    TaskMoved,
    TaskAnswered,
)
_ENDS_A_CHILD: Final[tuple[type[Event], ...]] = (TaskCompleted, TaskFailed, TaskCancelled, TaskRemoved)
_chance = SystemRandom()


class Claimer:
    """Takes tasks for `agent`: first its own, then those of the backlog with one of `roles` as a tag; () means any."""

    def __init__(self, agent: str, roles: tuple[str, ...]) -> None:
        self._agent = agent
        self._roles = roles
        self._has_met_parents = False
        self._has_met_others = False

    def take(self, town: Workplace, mark: RunMark, heartbeat: Heartbeat) -> Task | None:
        """Start a task and return it as started, with its heartbeat. None if there is no task to take.

        Skips a task until all its children are finished.
        """
        self._has_met_parents = False
        self._has_met_others = True
        while self._has_met_others:
            # Tasks that others took shifted the later pages, so this pass may have missed some.
            self._has_met_others = False
            for page in self._pages(town):
                task = self._take_one_of(page, town, mark, heartbeat)
                if task is not None:
                    return task
        return None

    def _take_one_of(self, page: list[Task], town: Workplace, mark: RunMark, heartbeat: Heartbeat) -> Task | None:
        waiting = [task for task in page[::-1] if task.damaged_at is None and not task.has_open_question]
        while waiting:
            task = waiting.pop()
            if town.present.count_open_children(task.id):
                self._has_met_parents = True
                continue
            # Before the task starts: a running task without a heartbeat counts as lost.
            heartbeat.begin()
            try:
                return town.verbs.start(task.id, agent=self._agent, run=mark, expected_version=task.version).task
            except WrongExpectedVersionError:
                self._has_met_others = True
                _chance.shuffle(waiting)
        return None

    def may_bring_work(self, recorded: RecordedEvent) -> bool:
        """Whether this event may make a task available when there was none before."""
        data = recorded.data
        if isinstance(data, TaskAssigned):
            return data.agent == self._agent
        return isinstance(data, _BRINGS_WORK) or (self._has_met_parents and isinstance(data, _ENDS_A_CHILD))

    def _pages(self, town: Workplace) -> Iterator[list[Task]]:
        """Candidates, oldest first, in pages of up to CANDIDATES_MAX for each condition."""
        yield from _pages_of(town, [TaskFilter(state=State.ASSIGNED, agent=self._agent)])
        roles = [TaskFilter(state=State.PENDING, tag=role) for role in self._roles]
        yield from _pages_of(town, roles or [TaskFilter(state=State.PENDING)])


def _pages_of(town: Workplace, conditions: list[TaskFilter]) -> Iterator[list[Task]]:
    for offset in count(0, CANDIDATES_MAX):
        pages = [town.reader.page(condition, offset=offset, limit=CANDIDATES_MAX) for condition in conditions]
        found = {task.id: task for page in pages for task in page.tasks}
        yield sorted(found.values(), key=lambda task: task.created_at_ms)
        if not any(page.has_more for page in pages):
            return
