"""Reclaim: finds all running tasks whose runner has no heartbeat, and moves them.

A task that somebody started by hand has no runner and never counts as lost: the ledger cannot show whether that person
is at work. The version that was read guards the move, so of several reclaims at once only one moves a task.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ledger import RequeueTask, Task, WrongExpectedVersionError, check_name
from projections import LostRun, RunsLook, Wanted, look_at_runs
from town.backend import Backend
from town.reading.lost_tasks import LostTask, LostTasks, gather
from town.reading.references import given_names
from town.runs.heartbeat import is_beating
from town.runs.run_mark import mark_of
from town.writer import Guarded, Receipt, Writer

Moved = tuple[LostTask, Task | None]
"""A task that was lost, and the task as it is now; None if it changed meanwhile and was left alone."""


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
        lost = self.look(from_agent=from_agent)
        return [each for each in lost.tasks if each.age_ms >= older_than_seconds * 1_000]

    def look(self, *, from_agent: str | None = None) -> LostTasks:
        """All running tasks without a heartbeat, oldest first, and when the next heartbeat can end.

        ViewsIncompleteError; HistoryBrokenError if it cannot be read how a task was started.
        """
        holder = None if from_agent is None else check_name(from_agent, "agent name")
        self._upkeep.catch_up()
        looks: list[RunsLook] = []
        cursor: str | None = None
        while not looks or cursor is not None:
            looks.append(look_at_runs(self._client, self._keys, self._live, cursor=cursor, where=self._where))
            cursor = looks[-1].cursor
        return gather([*looks, *map(self._read_unread, looks)], agent=holder)

    def reclaim(
        self, *, agent: str | None = None, from_agent: str | None = None, older_than_seconds: float = 0
    ) -> list[Moved]:
        """Put lost tasks back into the backlog, or give them to `agent`.

        Yields each with its present task, or None if that changed meanwhile.
        """
        lost = self.lost_tasks(from_agent=from_agent, older_than_seconds=older_than_seconds)
        return list(self.move(lost, agent=agent))

    def move(self, lost: list[LostTask], *, agent: str | None = None) -> Iterator[Moved]:
        """As `reclaim`, these tasks, one after the other."""
        agent = None if agent is None else check_name(agent, "agent name")
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

    def _read_unread(self, look: RunsLook) -> RunsLook:
        """The lost tasks among those whose start the look did not find."""
        tasks = self._live.get_listed(look.unread) if look.unread else []
        found = (self._read(task) for task in tasks if task.damaged_at is None)
        return replace(look, lost=tuple(run for run in found if run is not None), ends_in_ms=None)

    def _read(self, task: Task) -> LostRun | None:
        history = self._store.history(task.id)
        mark = mark_of(history)
        if mark is None or history[-1].version != task.version:
            # Somebody started it by hand, or it changed since it was listed.
            return None
        if is_beating(self._client, self._keys, mark.id, where=self._where):
            return None
        return LostRun(task, mark)
