"""Reclaim: running tasks whose runner shows no sign of life, and what becomes of them.

A task that somebody started by hand has no runner and is never lost: nobody can tell from here whether its person is at
work. The move is guarded by the version that was looked at, so of several reclaims at once one moves a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from ledger import EventStore, Keys, RequeueTask, RunMark, State, Task, WrongExpectedVersionError, redis_errors
from projections import LiveBoard, TaskFilter
from town.runs.heartbeat import is_beating
from town.runs.run_mark import mark_of
from town.writer import Receipt, Writer

if TYPE_CHECKING:
    from redis import Redis


class LostTask(Struct, frozen=True):
    """A running task as it was found, the run that was lost, and how long ago the run began, ms by the server's clock."""

    task: Task
    mark: RunMark
    age_ms: int

    def words(self) -> str:
        """Why it is taken back, for the event."""
        return f"lost: {self.mark}, of {self.task.assigned_to}, has no heartbeat"


class Reclaimer:
    """Finds and moves the lost tasks of one town."""

    def __init__(
        self, client: Redis, store: EventStore, live: LiveBoard, writer: Writer, keys: Keys, *, where: str
    ) -> None:
        self._client = client
        self._store = store
        self._live = live
        self._writer = writer
        self._keys = keys
        self._where = where

    def find(self, *, older_than_seconds: float = 0) -> list[LostTask]:
        """The lost tasks, oldest first, whose runs began longer ago than that. Nothing is written."""
        now_ms = self._now_ms()
        running = self._live.page(TaskFilter(state=State.RUNNING)).tasks
        found = (self._look_at(task, now_ms) for task in running if task.damaged_at is None)
        return [lost for lost in found if lost is not None and lost.age_ms >= older_than_seconds * 1_000]

    def move(self, lost: list[LostTask], *, agent: str | None) -> Iterator[tuple[LostTask, Task | None]]:
        """Put each back into the backlog, or give it to `agent`; (it, the task now). None where it changed meanwhile."""
        for each in lost:
            try:
                yield each, self._move_one(each, agent).task
            except WrongExpectedVersionError:
                yield each, None

    def _move_one(self, lost: LostTask, agent: str | None) -> Receipt:
        command = RequeueTask(task=lost.task.id, agent=agent)
        return self._writer.execute(lambda: (command, {}), reason=lost.words(), expected_version=lost.task.version)

    def _look_at(self, task: Task, now_ms: int) -> LostTask | None:
        history = self._store.history(task.id)
        mark = mark_of(history)
        if mark is None or history[-1].version != task.version:
            # Started by hand, or changed since the page was read.
            return None
        if is_beating(self._client, self._keys, mark.id, where=self._where):
            return None
        return LostTask(task, mark, max(now_ms - (task.started_at_ms or now_ms), 0))

    def _now_ms(self) -> int:
        """The server's clock. Source: TIME."""
        with redis_errors(self._where):
            seconds, microseconds = cast("tuple[int, int]", self._client.time())
        return int(seconds) * 1_000 + int(microseconds) // 1_000
