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


class _Step(NamedTuple):
    """That a task is begun, or that it is done."""

    task_id: str
    is_done: bool


def find_circle(ties: Mapping[str, Ties], look_up: Callable[[Collection[str]], Found]) -> tuple[str, ...]:
    """The ids of tasks that would wait for each other if the tasks of `ties` were there: each waits for the next, and the
    last is the first again. Empty if there is none.

    `look_up` is asked for other tasks, and for those below any task, as the town has them. It is asked level by level.
    """
    return _Search(ties, look_up).run()


class _Search:
    def __init__(self, ties: Mapping[str, Ties], look_up: Callable[[Collection[str]], Found]) -> None:
        self._ties = dict(ties)
        self._changed = ties.keys()
        self._look_up = look_up
        self._children: dict[str, set[str]] = {}
        self._moved: dict[str, set[str]] = {}
        for task_id, place in ties.items():
            if place.parent_id is not None:
                self._moved.setdefault(place.parent_id, set()).add(task_id)

    def run(self) -> tuple[str, ...]:
        begun = [_Step(task_id, is_done=True) for task_id in self._changed]
        self._load(begun)
        return self._walk(begun)

    def _load(self, steps: Iterable[_Step]) -> None:
        """Look up every task that one of the steps waits for, directly or not."""
        seen: set[_Step] = set()
        level = set(steps)
        while level:
            unknown = {step.task_id for step in level} - self._children.keys()
            for task_id, (task, children) in self._look_up(unknown).items() if unknown else ():
                if task_id not in self._changed:
                    self._ties[task_id] = NO_TIES if task is None else Ties(task.parent_id, task.needs)
                self._children[task_id] = (set(children) - self._changed) | self._moved.get(task_id, set())
            seen |= level
            level = {after for step in level for after in self._after(step)} - seen

    def _after(self, step: _Step) -> list[_Step]:
        """What a step waits for."""
        task_id = step.task_id
        if step.is_done:
            below = [_Step(child, is_done=True) for child in self._children[task_id]]
            return [_Step(task_id, is_done=False), *below]
        place = self._ties[task_id]
        needed = [_Step(each, is_done=True) for each in place.needs]
        return needed if place.parent_id is None else [*needed, _Step(place.parent_id, is_done=False)]

    def _walk(self, steps: Iterable[_Step]) -> tuple[str, ...]:
        """Walk from step to step until one comes again on the way."""
        finished: set[_Step] = set()
        for first in steps:
            way: dict[_Step, None] = {}
            remaining = [(first, iter(self._after(first)))] if first not in finished else []
            way.update((step, None) for step, _ in remaining)
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


def _named(circle: Iterable[_Step]) -> tuple[str, ...]:
    """The tasks of a circle of steps; the last is the first again."""
    ids = list(dict.fromkeys(step.task_id for step in circle))
    return (*ids, ids[0])
