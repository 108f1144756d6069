"""Knots: the needs of many tasks that lie on circles, all found at once. Pure.

`ledger.circles` has the rule, and finds one circle among tasks that it looks up on the way; here all tasks are at hand. A knot
is a set of steps that all wait, directly or not, for each other: a strongly connected component. Parents alone never make
one, if they are a forest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ledger.circles import NO_TIES, Ties, WorkStep, waits_for


class Knot(NamedTuple):
    """Needs that lie on circles: pairs of a task and one that it needs, and the shortest circle of the first pair.

    In the circle each task waits for the next, and the last is the first again.
    """

    needs: tuple[tuple[str, str], ...]
    circle: tuple[str, ...]


def find_knots(ties: Mapping[str, Ties]) -> list[Knot]:
    """The knots among these tasks, in the order of their first pairs. Names without ties wait for nothing."""
    graph = _Graph(ties)
    group_of = graph.groups()
    pairs: dict[int, list[tuple[str, str]]] = {}
    for task, place in ties.items():
        for needed in dict.fromkeys(place.needs):
            group = group_of[WorkStep(task, is_done=False)]
            if group == group_of[WorkStep(needed, is_done=True)]:
                pairs.setdefault(group, []).append((task, needed))
    return [Knot(tuple(found), graph.circle(*found[0])) for found in pairs.values()]


class _Graph:
    """The steps, and what each waits for."""

    def __init__(self, ties: Mapping[str, Ties]) -> None:
        self._ties = ties
        self._below: dict[str, list[str]] = {}
        for task, place in ties.items():
            if place.parent_id is not None:
                self._below.setdefault(place.parent_id, []).append(task)

    def _after(self, step: WorkStep) -> list[WorkStep]:
        return waits_for(step, self._ties.get(step.task_id, NO_TIES), self._below.get(step.task_id, ()))

    def groups(self) -> dict[WorkStep, int]:
        """WorkStep -> the number of its strongly connected component."""
        grouping = _Grouping(self._after)
        for task in self._ties:
            grouping.follow(WorkStep(task, is_done=True))
        return grouping.group_of

    def circle(self, task: str, needed: str) -> tuple[str, ...]:
        """The shortest way from a needed task back to the one that needs it; the last is the first again."""
        goal = WorkStep(task, is_done=False)
        first = WorkStep(needed, is_done=True)
        came_from: dict[WorkStep, WorkStep | None] = {first: None}
        waiting = deque([first])
        while goal not in came_from:
            step = waiting.popleft()
            for after in self._after(step):
                if after not in came_from:
                    came_from[after] = step
                    waiting.append(after)
        way: list[str] = []
        current: WorkStep | None = goal
        while current is not None:
            way.append(current.task_id)
            current = came_from[current]
        # The way was walked backwards: from the task to the one that it needs.
        names = list(dict.fromkeys([task, *reversed(way)]))
        return (*names, task)


class _Grouping:
    """Strongly connected components by Tarjan's algorithm, with a stack of its own."""

    def __init__(self, after: Callable[[WorkStep], list[WorkStep]]) -> None:
        self.group_of: dict[WorkStep, int] = {}
        self._after = after
        self._number: dict[WorkStep, int] = {}
        self._lowest: dict[WorkStep, int] = {}
        """The lowest number that was seen from a step on."""
        self._ungrouped: list[WorkStep] = []
        self._way: list[tuple[WorkStep, Iterator[WorkStep]]] = []

    def follow(self, first: WorkStep) -> None:
        """Group a step and all that it waits for."""
        if first in self._number:
            return
        self._enter(first)
        while self._way:
            step, afters = self._way[-1]
            entered = next((after for after in afters if self._is_new(step, after)), None)
            if entered is None:
                self._leave()
            else:
                self._enter(entered)

    def _enter(self, step: WorkStep) -> None:
        self._number[step] = self._lowest[step] = len(self._number)
        self._ungrouped.append(step)
        self._way.append((step, iter(self._after(step))))

    def _is_new(self, step: WorkStep, after: WorkStep) -> bool:
        if after not in self._number:
            return True
        if after not in self.group_of:
            self._lowest[step] = min(self._lowest[step], self._number[after])
        return False

    def _leave(self) -> None:
        step, _ = self._way.pop()
        if self._way:
            before = self._way[-1][0]
            self._lowest[before] = min(self._lowest[before], self._lowest[step])
        if self._lowest[step] != self._number[step]:
            return
        closed: WorkStep | None = None
        while closed != step:
            closed = self._ungrouped.pop()
            self.group_of[closed] = self._number[step]
