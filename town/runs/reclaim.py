"""Reclaim: finds running tasks whose runner has no heartbeat, and moves them.

A task that somebody started by hand has no runner and never counts as lost: the ledger cannot show whether that person
is at work. The version that was read guards the move, so of several reclaims at once only one moves a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from msgspec import Struct

from ledger import LOST, RequeueTask, RunMark, State, Task, WrongExpectedVersionError, check_name, redis_errors
from projections import TaskFilter, Wanted
from town.backend import Backend
from town.reading.references import given_names
from town.runs.heartbeat import is_beating
from town.runs.run_mark import mark_of
from town.writer import Guarded, Receipt, Writer


class LostTask(Struct, frozen=True):
    """A running task as it was found, its lost run, and how long ago the run began, in ms by the server's clock."""

    task: Task
    mark: RunMark
    age_ms: int

    def words(self) -> str:
        """The reason for the event."""
        return f"{LOST} {self.mark}, of {self.task.assigned_to}, has no heartbeat"


class Reclaimer:
    """Finds and moves the lost tasks of one town."""

    def __init__(self, backend: Backend) -> None:
        self._client = backend.client
        self._keys = backend.keys
        self._where = backend.where
        self._store = backend.store
        self._live = backend.live
        self._upkeep = backend.upkeep
        self._writer = Writer(backend)

    def lost_tasks(self, *, from_agent: str | None = None, older_than_seconds: float = 0) -> list[LostTask]:
        """Running tasks without a heartbeat, oldest first; if given, only those of one agent, or of runs older than
        that.
        """
        holder = None if from_agent is None else check_name(from_agent, "agent name")
        self._upkeep.catch_up()
        now_ms = self._now_ms()
        running = self._live.page(TaskFilter(state=State.RUNNING)).tasks
        found = (self._look_at(task, now_ms) for task in running if task.damaged_at is None)
        return [
            lost
            for lost in found
            if lost is not None
            and lost.age_ms >= older_than_seconds * 1_000
            and holder in (None, lost.task.assigned_to)
        ]

    def reclaim(
        self, *, agent: str | None = None, from_agent: str | None = None, older_than_seconds: float = 0
    ) -> list[tuple[LostTask, Task | None]]:
        """Put lost tasks back into the backlog, or give them to `agent`.

        Yields each with its present task, or None if that changed meanwhile.
        """
        agent = None if agent is None else check_name(agent, "agent name")
        lost = self.lost_tasks(from_agent=from_agent, older_than_seconds=older_than_seconds)
        return list(self._move(lost, agent))

    def _move(self, lost: list[LostTask], agent: str | None) -> Iterator[tuple[LostTask, Task | None]]:
        for each in lost:
            try:
                yield each, self._move_one(each, agent).task
            except WrongExpectedVersionError:
                yield each, None

    def _move_one(self, lost: LostTask, agent: str | None) -> Receipt:
        command = RequeueTask(task_id=lost.task.id, agent=agent)
        return self._writer.execute(
            lambda: Guarded(command),
            wanted=Wanted(agents=given_names(agent)),
            reason=lost.words(),
            expected_version=lost.task.version,
        )

    def _look_at(self, task: Task, now_ms: int) -> LostTask | None:
        history = self._store.history(task.id)
        mark = mark_of(history)
        if mark is None or history[-1].version != task.version:
            # Somebody started it by hand, or it changed since the page was read.
            return None
        if is_beating(self._client, self._keys, mark.id, where=self._where):
            return None
        return LostTask(task, mark, max(now_ms - (task.started_at_ms or now_ms), 0))

    def _now_ms(self) -> int:
        """The server's clock. Source: TIME."""
        with redis_errors(self._where):
            seconds, microseconds = cast("tuple[int, int]", self._client.time())
        return int(seconds) * 1_000 + int(microseconds) // 1_000
