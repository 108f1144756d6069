"""Hierarchy: the tasks below a task, and how far its children are.

Everything walks level by level and remembers where it was, so that neither depth nor a circle ends it badly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import Keys, State, Task, redis_errors
from projections import Board, LiveBoard, TaskFilter

if TYPE_CHECKING:
    from redis import Redis

PARENTS_PER_READ_MAX: Final = 500
_OPEN_STATES: Final = tuple(state for state in State if not state.is_terminal)


class Branch(Struct, frozen=True):
    """A task in a tree: how deep it lies, and how many of its children are in each state; absent states are 0."""

    task: Task
    depth: int
    children: Mapping[State, int]


class Hierarchy:
    """One town's parents and children, as its views are now."""

    def __init__(self, client: Redis, keys: Keys, live: LiveBoard, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._live = live
        self._where = where

    def count_open_children(self, task: str) -> int:
        """How many tasks right below `task` are open."""
        if not self._live.count_children(task):
            return 0
        return sum(self._live.page(TaskFilter(state=state, parent=task), limit=0).total for state in _OPEN_STATES)

    def below(self, task: str) -> list[Task]:
        """All tasks below `task`, a parent before its children, and those of one parent oldest first."""
        found: dict[str, Task] = {}
        level = [task]
        while level:
            ids = [child for child in self._children(level) if child not in found and child != task]
            tasks = self._live.get_listed(ids)
            found |= {each.id: each for each in tasks}
            level = [each.id for each in tasks]
        return list(found.values())

    def tree(self, root: Task | None = None) -> list[Branch]:
        """`root` and all below it; without it the whole town. A task comes right before those below it."""
        if root is None:
            return grow(self._live.page().tasks)
        return grow([root, *self.below(root.id)], root=root.id)

    def _children(self, parents: Sequence[str]) -> list[str]:
        """The ids of the tasks right below any of `parents`, oldest first. Source: SUNION, ZMSCORE."""
        found: list[str] = []
        for start in range(0, len(parents), PARENTS_PER_READ_MAX):
            keys = [self._keys.view("parent", parent) for parent in parents[start : start + PARENTS_PER_READ_MAX]]
            with redis_errors(self._where):
                found += [each.decode() for each in cast("set[bytes]", self._client.sunion(keys))]
        if not found:
            return []
        with redis_errors(self._where):
            numbers = cast("list[float | None]", self._client.zmscore(self._keys.view("created"), found))
        order = dict(zip(found, numbers, strict=True))
        return sorted(found, key=lambda task: (order[task] or 0, task))


def tree_on(board: Board, root: Task | None = None) -> list[Branch]:
    """As `Hierarchy.tree`, of a board in memory. Pure."""
    tasks = board.page().tasks
    if root is None:
        return grow(tasks)
    branches = grow(tasks, root=root.id)
    first = next(number for number, branch in enumerate(branches) if branch.task.id == root.id)
    below = takewhile(lambda branch: branch.depth > 0, branches[first + 1 :])
    return [branches[first], *below]


def grow(tasks: Iterable[Task], *, root: str | None = None) -> list[Branch]:
    """The tree of `tasks`, which come oldest first: each right before those below it, siblings in the order they came in.

    A task whose parent is not among them stands at the top, and so does `root`. Pure.
    """
    known = {task.id: task for task in tasks}
    children: dict[str | None, list[Task]] = {}
    for task in known.values():
        parent = task.parent_id if task.parent_id in known and task.id != root else None
        children.setdefault(parent, []).append(task)
    grown: dict[str, Branch] = {}
    for task in children.get(None, []):
        grown |= {branch.task.id: branch for branch in _grow_from(task, children, grown)}
    # A circle has no top, and no command can make one; should there be one, it is shown all the same.
    for task in known.values():
        if task.id not in grown:
            grown |= {branch.task.id: branch for branch in _grow_from(task, children, grown)}
    return list(grown.values())


def _grow_from(
    top: Task, children: Mapping[str | None, Sequence[Task]], grown: Mapping[str, Branch]
) -> Iterator[Branch]:
    seen: set[str] = set()
    waiting = [(top, 0)]
    while waiting:
        task, depth = waiting.pop()
        if task.id in seen or task.id in grown:
            continue
        seen.add(task.id)
        below = children.get(task.id, ())
        counts: dict[State, int] = {}
        for child in below:
            counts[child.state] = counts.get(child.state, 0) + 1
        yield Branch(task, depth, counts)
        waiting += [(child, depth + 1) for child in reversed(below)]
