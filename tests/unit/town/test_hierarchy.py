"""The tree of tasks: order, depth, progress, and an end to every walk."""

from __future__ import annotations

from ledger import State
from tests.support.builders import a_task, task_id
from town.reading.hierarchy import grow


def shape(*pairs: tuple[int, int | None], root: int | None = None) -> list[tuple[int, int]]:
    """(number, depth) of the tree of tasks given as (number, number of the parent)."""
    tasks = [
        a_task(id=task_id(number), parent_id=None if parent is None else task_id(parent)) for number, parent in pairs
    ]
    branches = grow(tasks, root=None if root is None else task_id(root))
    return [(int(branch.task.id[-12:]), branch.depth) for branch in branches]


def test_tree_shows_each_task_right_before_those_below_it() -> None:
    """Siblings come in the order they were made, and a child's own children before its next sibling."""
    assert shape((1, None), (2, 1), (3, None), (4, 1), (5, 2)) == [(1, 0), (2, 1), (5, 2), (4, 1), (3, 0)]


def test_task_whose_parent_is_gone_stands_at_the_top() -> None:
    """A parent that was removed hides nothing."""
    assert shape((2, 1), (3, 2)) == [(2, 0), (3, 1)]


def test_root_stands_at_the_top_although_it_has_a_parent() -> None:
    """The tree of one task begins there."""
    assert shape((2, 1), (3, 2), root=2) == [(2, 0), (3, 1)]


def test_circle_is_shown_once_and_ends() -> None:
    """No command makes one; should one be there, every task is shown once."""
    found = shape((1, 3), (2, 1), (3, 2), (4, None))
    assert sorted(number for number, _ in found) == [1, 2, 3, 4]


def test_deep_tree_does_not_overflow() -> None:
    """20,000 levels are walked without recursion."""
    found = shape((1, None), *((number, number - 1) for number in range(2, 20_001)))
    assert found[-1] == (20_000, 19_999)


def test_progress_counts_children_by_state() -> None:
    """A parent tells of the tasks right below it, and not of those further down."""
    states = [State.COMPLETED, State.COMPLETED, State.FAILED, State.RUNNING]
    tasks = [a_task(id=task_id(1))]
    tasks += [a_task(id=task_id(2 + n), parent_id=task_id(1), state=state) for n, state in enumerate(states)]
    tasks += [a_task(id=task_id(9), parent_id=task_id(2))]
    top = grow(tasks)[0]
    assert top.children == {State.COMPLETED: 2, State.FAILED: 1, State.RUNNING: 1}
