"""Circles: finds tasks that would wait for each other. Pure.

A task is done after it was begun, and after the tasks below it are done. It is begun after what it needs is done, and not
while a task above it is kept from being begun. So each task stands for two steps, and a circle of steps is one that no order
of work can satisfy. It does not matter in which states the tasks are: a finished one may be opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from ledger.task import Task


class Ties(NamedTuple):
    """What ties a task to others: the ids of its parent and of the tasks that it needs."""

    parent_id: str | None = None
    needs: tuple[str, ...] = ()


NO_TIES: Final = Ties()

Found = Mapping[str, tuple[Task | None, Collection[str]]]
"""Task id -> the task (None: it does not exist), and the ids of those right below it."""


class WorkStep(NamedTuple):
    """That a task is begun, or that it is done."""

    task_id: str
    is_done: bool


def waits_for(step: WorkStep, ties: Ties, below: Iterable[str]) -> list[WorkStep]:
    """The steps right before a step: `ties` are those of its task, and `below` are the tasks right below that."""
    if step.is_done:
        return [WorkStep(step.task_id, is_done=False), *(WorkStep(child, is_done=True) for child in below)]
    needed = [WorkStep(each, is_done=True) for each in ties.needs]
    return needed if ties.parent_id is None else [*needed, WorkStep(ties.parent_id, is_done=False)]


def find_circle(ties: Mapping[str, Ties], look_up: Callable[[Collection[str]], Found]) -> tuple[str, ...]:
    """The ids of tasks that would wait for each other if the tasks of `ties` were there: each waits for the next, and the
    last is the first again. Empty if there is none.

    `look_up` is asked for other tasks, and for those below any task, as the town has them. It is asked level by level.
    """
    return _Search(ties, look_up).run()


class _Search:
    def __init__(self, ties: Mapping[str, Ties], look_up: Callable[[Collection[str]], Found]) -> None:
        self._ties = dict(ties)
        # A set takes away another set, and not a view of keys, without a walk through all of that.
        self._changed = frozenset(ties)
        self._look_up = look_up
        self._children: dict[str, set[str]] = {}
        self._moved: dict[str, set[str]] = {}
        for task_id, place in ties.items():
            if place.parent_id is not None:
                self._moved.setdefault(place.parent_id, set()).add(task_id)

    def run(self) -> tuple[str, ...]:
        first = [WorkStep(task_id, is_done=True) for task_id in self._ties]
        self._load(first)
        return self._walk(first)

    def _load(self, steps: Iterable[WorkStep]) -> None:
        """Look up every task that one of the steps waits for, directly or not."""
        seen: set[WorkStep] = set()
        level = set(steps)
        while level:
            unknown = {step.task_id for step in level if step.task_id not in self._children}
            for task_id, (task, children) in self._look_up(unknown).items() if unknown else ():
                if task_id not in self._changed:
                    self._ties[task_id] = NO_TIES if task is None else Ties(task.parent_id, task.needs)
                self._children[task_id] = (set(children) - self._changed) | self._moved.get(task_id, set())
            seen |= level
            level = {after for step in level for after in self._after(step)} - seen

    def _after(self, step: WorkStep) -> list[WorkStep]:
        return waits_for(step, self._ties[step.task_id], self._children[step.task_id])

    def _walk(self, steps: Iterable[WorkStep]) -> tuple[str, ...]:
        """Walk from step to step until one comes again on the way."""
        finished: set[WorkStep] = set()
        for first in steps:
            if first in finished:
                continue
            way = {first: None}
            remaining = [(first, iter(self._after(first)))]
            while remaining:
                step, afters = remaining[-1]
                after = next((each for each in afters if each not in finished), None)
                if after is None:
                    remaining.pop()
                    del way[step]
                    finished.add(step)
                elif after in way:
                    return _named([*way][[*way].index(after) :])
                else:
                    way[after] = None
                    remaining.append((after, iter(self._after(after))))
        return ()


def _named(circle: Iterable[WorkStep]) -> tuple[str, ...]:
    """The tasks of a circle of steps; the last is the first again."""
    ids = list(dict.fromkeys(step.task_id for step in circle))
    return (*ids, ids[0])
