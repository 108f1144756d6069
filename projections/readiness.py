"""Readiness: how events of some tasks change what can be worked on, among the tasks that depend on them. Pure.

Whether a task can be begun depends on what it needs, on the tasks above it and on those below it. So when events change a
task, the entries of others in the view `ready` may change, too. `settle` finds them, and asks for no more than their
neighbours: in Redis (`neighbours.RedisNeighbours`), or in a board in memory (`neighbours.BoardNeighbours`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from msgspec import Struct

from ledger import Task
from projections.views.ready import NO_COUNTS, OPEN, Counts, Gate, entries_of
from projections.views.view import ViewEntry

Tasks = Mapping[str, Task | None]
"""Task id -> the task; None if it does not exist."""


class Asked(NamedTuple):
    """Of which tasks something is asked, at the position before the events."""

    tasks: Collection[str] = ()
    """The task itself, its gate and its counts."""
    gates: Collection[str] = ()
    counts: Collection[str] = ()
    are_completed: Collection[str] = ()
    needed_by: Collection[str] = ()
    """Which tasks need it."""
    children: Collection[str] = ()


class Known(Struct):
    """The answers, by task. What is not there is not known."""

    tasks: dict[str, Task | None]
    gates: dict[str, Gate]
    counts: dict[str, Counts]
    are_completed: dict[str, bool]
    needed_by: dict[str, Collection[str]]
    children: dict[str, Collection[str]]

    @classmethod
    def nothing(cls) -> Known:
        return cls({}, {}, {}, {}, {}, {})

    def add(self, other: Known) -> None:
        self.tasks |= other.tasks
        self.gates |= other.gates
        self.counts |= other.counts
        self.are_completed |= other.are_completed
        self.needed_by |= other.needed_by
        self.children |= other.children


Ask = Callable[[Asked], Known]


class Settled(NamedTuple):
    """How one task stands: what the view `ready` held about it, and what it holds from now on."""

    before: list[ViewEntry]
    after: list[ViewEntry]
    gate: Gate


def settle(before: Tasks, after: Tasks, ask: Ask, known: Known | None = None) -> dict[str, Settled]:
    """What changes in the view `ready` if tasks are led from `before` to `after`: task id -> its entries, of those that differ.

    Both have the same tasks. `known` is what the caller knows of them already. Where the tasks above each other form a circle,
    which no command makes, some answer is given.
    """
    known = Known.nothing() if known is None else known
    found: dict[str, Settled] = {}
    tied = _tied(before, after, known)
    for task_id in after.keys() - tied:
        # Most tasks of most towns: what they are alone decides.
        was, now = entries_of(before[task_id], OPEN, NO_COUNTS), entries_of(after[task_id], OPEN, NO_COUNTS)
        if was != now:
            found[task_id] = Settled(was, now, OPEN)
    if tied:
        from projections.settling import Settling  # noqa: PLC0415 - most tasks are tied to no others

        settling = Settling(
            {task_id: before[task_id] for task_id in tied}, {task_id: after[task_id] for task_id in tied}, ask, known
        )
        settling.run()
        found |= settling.result()
    return found


def _tied(before: Tasks, after: Tasks, known: Known) -> set[str]:
    """Those of the tasks that other tasks, or a time or a question, may keep from being begun, or that may keep others."""
    tied = {
        task_id
        for task_id, task in after.items()
        if known.counts.get(task_id) != NO_COUNTS or not is_alone(task) or not is_alone(before[task_id])
    }
    named: set[str] = set()
    for task_id in tied:
        for task in (before[task_id], after[task_id]):
            if task is not None:
                named.update(task.needs)
                named.add(task.parent_id or "")
    return tied | (named & after.keys())


def is_alone(task: Task | None) -> bool:
    """Whether nothing can keep the task, before the events, from being begun."""
    return task is None or (
        task.parent_id is None and not task.needs and not task.not_before_ms and not task.has_open_question
    )
