"""Hierarchy: the tasks below a task, and the progress of its children.

Every walk goes level by level and remembers the tasks it has seen, so that depth and circles do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import State, Task
from projections import Board, LiveBoard

if TYPE_CHECKING:
    from projections import PackedBoard

OPEN_STATES: Final = tuple(state for state in State if not state.is_terminal)


class Branch(Struct, frozen=True):
    """A task in a tree: its depth, and how many of its children are in each state; absent states are 0."""

    task: Task
    depth: int
    children: Mapping[State, int]


def below(board: LiveBoard, task_id: str) -> list[Task]:
    """All tasks below this one, a parent before its children, and those of one parent oldest first."""
    found: dict[str, Task] = {}
    level = [task_id]
    while level:
        ids = [child for child in board.children_of(level) if child not in found and child != task_id]
        tasks = board.get_listed(ids)
        found |= {each.id: each for each in tasks}
        level = [each.id for each in tasks]
    return list(found.values())


def tree_on(board: Board | PackedBoard, root: Task | None = None) -> list[Branch]:
    """`root` and all below it, of a board in memory; without it the whole board. A task comes right before those below it. Pure."""
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
    # A circle has no top. No command can make one, but if there is one, show it all the same.
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
