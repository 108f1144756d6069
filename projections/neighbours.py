"""Neighbours: answers what `readiness.settle` asks about other tasks, from Redis or from a board in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ledger import Keys, LinkKind, ReplyTooLargeError, State, Task, redis_errors
from projections.errors import SnapshotDamagedError
from projections.listing import number_of
from projections.readiness import Asked, Known, Settled, Tasks, settle
from projections.snapshots import decode_snapshot
from projections.views.by_link import ByLink, link_part
from projections.views.by_parent import ByParent
from projections.views.by_state import ByState
from projections.views.ready import BLOCKED, LATER, OPEN, Counts, Gate, Ready, entries_of, gate_of, time_of
from projections.views.view import ViewEntry

if TYPE_CHECKING:
    from redis import Redis


_Step = Callable[[Any], None]
"""Keeps the answer to one command."""


class RedisNeighbours:
    """Answers from the snapshots and views of one town. `where` names the server in messages.

    They are as new as the checkpoint. If another projector moves it between two questions, the answers do not fit together,
    and the commit, which checks the checkpoint, fails. Source: MGET, SMISMEMBER, ZMSCORE, HMGET, SMEMBERS.
    """

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where

    def __call__(self, asked: Asked) -> Known:
        try:
            return self._read(asked)
        except ReplyTooLargeError:
            # The snapshots are large.
            tasks = list(asked.tasks)
            if len(tasks) <= 1:
                raise
        half = len(tasks) // 2
        known = self(asked._replace(tasks=tasks[:half]))
        known.add(self(Asked(tasks=tasks[half:])))
        return known

    def _read(self, asked: Asked) -> Known:
        """All answers in one trip. ReplyTooLargeError."""
        known = Known.nothing()
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=False)
            steps = [
                *self._ask_for_tasks(pipeline, list(asked.tasks), known),
                *self._ask_for_gates(pipeline, list(asked.gates), known),
                *self._ask_for_counts(pipeline, list(asked.counts), known),
                *self._ask_for_completed(pipeline, list(asked.are_completed), known),
                *self._ask_for_sets(pipeline, asked, known),
            ]
            for step, answer in zip(steps, pipeline.execute(), strict=True):
                step(answer)
        return known

    # --- each adds its commands, and returns what keeps their answers -------------------------------------------

    def _ask_for_tasks(self, pipeline: Any, ids: list[str], known: Known) -> list[_Step]:  # noqa: ANN401 - redis-py's
        if not ids:
            return []
        pipeline.mget([self._keys.task(task_id) for task_id in ids])
        return [lambda found: known.tasks.update(self._decoded(ids, found))]

    def _ask_for_gates(self, pipeline: Any, ids: list[str], known: Known) -> list[_Step]:  # noqa: ANN401 - as above
        if not ids:
            return []
        blocked: list[int] = []

        def keep(times: Sequence[float | None]) -> None:
            for task_id, is_blocked, from_ms in zip(ids, blocked, times, strict=True):
                known.gates[task_id] = Gate(bool(is_blocked), time_of(from_ms))

        pipeline.smismember(self._keys.view(Ready.name, BLOCKED), ids)
        pipeline.zmscore(self._keys.view(Ready.name, LATER), ids)
        return [blocked.extend, keep]

    def _ask_for_counts(self, pipeline: Any, ids: list[str], known: Known) -> list[_Step]:  # noqa: ANN401 - as above
        if not ids:
            return []
        children: list[bytes | None] = []

        def keep(dependents: Sequence[bytes | None]) -> None:
            for task_id, below, needing in zip(ids, children, dependents, strict=True):
                known.counts[task_id] = Counts(number_of(below), number_of(needing))

        pipeline.hmget(self._keys.view(ByParent.name), ids)
        pipeline.hmget(self._keys.view(ByLink.name), ids)
        return [children.extend, keep]

    def _ask_for_completed(self, pipeline: Any, ids: list[str], known: Known) -> list[_Step]:  # noqa: ANN401 - as above
        if not ids:
            return []
        pipeline.smismember(self._keys.view(ByState.name, State.COMPLETED), ids)
        return [lambda found: known.are_completed.update(zip(ids, map(bool, found), strict=True))]

    def _ask_for_sets(self, pipeline: Any, asked: Asked, known: Known) -> list[_Step]:  # noqa: ANN401 - as above
        for task_id in asked.needed_by:
            pipeline.smembers(self._keys.view(ByLink.name, link_part(LinkKind.NEEDS, task_id)))
        for task_id in asked.children:
            pipeline.smembers(self._keys.view(ByParent.name, task_id))
        return [
            *(_keep(known.needed_by, task_id) for task_id in asked.needed_by),
            *(_keep(known.children, task_id) for task_id in asked.children),
        ]

    def _decoded(self, task_ids: Iterable[str], snapshots: Sequence[bytes | None]) -> Iterable[tuple[str, Task | None]]:
        for task_id, snapshot in zip(task_ids, snapshots, strict=True):
            try:
                task = None if snapshot is None else decode_snapshot(snapshot, key=self._keys.task(task_id))
            except SnapshotDamagedError:
                # Whoever reads that task reports it, and a rebuild puts both right.
                task = None
            yield task_id, task


class BoardNeighbours:
    """What the view `ready` holds about the tasks of a board in memory, and how that follows events.

    `tasks` is the board's own; call `follow` after events changed it.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._children: defaultdict[str, set[str]] = defaultdict(set)
        self._needed_by: defaultdict[str, set[str]] = defaultdict(set)
        self._open_children: Counter[str] = Counter()
        self._dependents: Counter[str] = Counter()
        self._gates: dict[str, Gate] = {}
        for task in tasks.values():
            self._put(task)
        found: set[str] = set()
        for task in tasks.values():
            if task.parent_id is not None or task.needs or task.not_before_ms or task.has_open_question:
                self._find_gate(task, found)

    def gate(self, task_id: str) -> Gate:
        return self._gates.get(task_id, OPEN)

    def counts(self, task_id: str) -> Counts:
        return Counts(self._open_children[task_id], self._dependents[task_id])

    def needed_by(self, task_id: str) -> Collection[str]:
        """The tasks that need it."""
        return self._needed_by.get(task_id, ())

    def entries(self, task_id: str) -> list[ViewEntry]:
        """What the view `ready` holds about a task."""
        task = self._tasks.get(task_id)
        if task is None:
            return []
        return entries_of(task, self.gate(task_id), self.counts(task_id))

    def follow(self, before: Tasks) -> dict[str, Settled]:
        """Take over how tasks changed from `before`; returns how the entries changed, as `settle`."""
        after = {task_id: self._tasks.get(task_id) for task_id in before}
        # What is asked about is as it was before the events, but for the tasks that they changed, and `settle` has those.
        settled = settle(before, after, self._answer)
        for task in before.values():
            if task is not None:
                self._take(task)
        for task in after.values():
            if task is not None:
                self._put(task)
        for task_id, (_, _, gate) in settled.items():
            if gate == OPEN:
                self._gates.pop(task_id, None)
            else:
                self._gates[task_id] = gate
        return settled

    def _answer(self, asked: Asked) -> Known:
        return Known(
            tasks={task_id: self._tasks.get(task_id) for task_id in asked.tasks},
            gates={task_id: self.gate(task_id) for task_id in asked.gates},
            counts={task_id: self.counts(task_id) for task_id in asked.counts},
            are_completed={task_id: self._is_completed(task_id) for task_id in asked.are_completed},
            needed_by={task_id: set(self.needed_by(task_id)) for task_id in asked.needed_by},
            children={task_id: set(self._children.get(task_id, ())) for task_id in asked.children},
        )

    def _find_gate(self, task: Task, found: set[str]) -> None:
        """Find the gates of a task and of those above it that were not `found` yet."""
        path: list[Task] = []
        current: Task | None = task
        while current is not None and current.id not in found:
            found.add(current.id)
            path.append(current)
            current = None if current.parent_id is None else self._tasks.get(current.parent_id)
        for each in reversed(path):
            above = OPEN if each.parent_id is None else self.gate(each.parent_id)
            has_unmet_needs = not each.state.is_terminal and not all(map(self._is_completed, each.needs))
            gate = gate_of(each, above, has_unmet_needs=has_unmet_needs)
            if gate != OPEN:
                self._gates[each.id] = gate

    def _is_completed(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        return task is not None and task.state is State.COMPLETED

    def _put(self, task: Task) -> None:
        if task.parent_id is not None:
            self._children[task.parent_id].add(task.id)
        for needed in task.needs:
            self._needed_by[needed].add(task.id)
        self._count(task, +1)

    def _take(self, task: Task) -> None:
        if task.parent_id is not None:
            self._children[task.parent_id].discard(task.id)
        for needed in task.needs:
            self._needed_by[needed].discard(task.id)
        self._count(task, -1)

    def _count(self, task: Task, sign: int) -> None:
        if task.state.is_terminal:
            return
        if task.parent_id is not None:
            self._open_children[task.parent_id] += sign
        for needed in task.needs:
            self._dependents[needed] += sign


def _keep(answers: dict[str, Collection[str]], task_id: str) -> Callable[[Collection[bytes]], None]:
    def keep(members: Collection[bytes]) -> None:
        answers[task_id] = {member.decode(errors="replace") for member in members}

    return keep
