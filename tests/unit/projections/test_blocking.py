"""What blocks tasks, and the chains behind it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

from msgspec import structs

from ledger import State, Task
from projections import blocked_among, critical_path
from tests.support.builders import task_id

CHAIN_TASKS = 4_000
CHAIN_BYTES_MAX = 20_000_000
"""Each task of a chain kept the ids of all behind it: 160 MB for these."""


def tasks_that_need(needs: Sequence[Sequence[int]], parents: Mapping[int, int] | None = None) -> dict[str, Task]:
    """Pending tasks by id; each needs the tasks at these places, and is below the one that `parents` says."""
    tasks = [
        Task(
            id=task_id(number),
            description="x",
            state=State.PENDING,
            created_at_ms=1,
            updated_at_ms=1,
            version=1,
            at=f"1-{number + 1}",
            needs=tuple(sorted(task_id(each) for each in needed)),
            parent_id=task_id(parents[number]) if parents and number in parents else None,
            created_number=number,
        )
        for number, needed in enumerate(needs)
    ]
    return {task.id: task for task in tasks}


def length(task: str, tasks: Mapping[str, Task]) -> int:
    """How many tasks are in the longest chain after one, by looking at all."""
    return max((1 + length(needed, tasks) for needed in tasks[task].needs), default=0)


def test_chain_is_the_longest_one() -> None:
    """Each task of it needs the next, it is as long as one can be, and the longest comes first."""
    random = Random(14)
    for _ in range(50):
        tasks = tasks_that_need(
            [random.sample(range(number), min(number, random.randint(0, 3))) for number in range(12)]
        )
        found = blocked_among(tasks, tasks)
        assert {each.task.id for each in found} == {task.id for task in tasks.values() if task.needs}
        for each in found:
            way = [each.task.id, *each.chain]
            assert all(after in tasks[before].needs for before, after in pairwise(way))
            assert len(each.chain) == each.chain_length == length(each.task.id, tasks)
        lengths = [each.chain_length for each in found]
        assert lengths == sorted(lengths, reverse=True)


def done_before(number: int, *, is_begun: bool, needs: Sequence[Sequence[int]], parents: Mapping[int, int]) -> int:
    """How many tasks have to be done in a row before one can be begun, or (not `is_begun`) is done; by looking at all."""
    if is_begun:
        above = [done_before(parents[number], is_begun=True, needs=needs, parents=parents)] if number in parents else []
        needed = [1 + done_before(each, is_begun=False, needs=needs, parents=parents) for each in needs[number]]
        return max([0, *above, *needed])
    below = [child for child, parent in parents.items() if parent == number]
    children = [1 + done_before(child, is_begun=False, needs=needs, parents=parents) for child in below]
    return max([done_before(number, is_begun=True, needs=needs, parents=parents), *children])


def test_tasks_below_are_in_the_chain() -> None:
    """Whoever needs a task waits for those below it, too; and the critical path of a task goes through those below it."""
    random = Random(15)
    for _ in range(50):
        # Each needs earlier ones, and is below a later one that needs nothing itself: so there is no circle.
        parents = {number: random.randint(8, 11) for number in range(8) if random.random() < 0.6}
        needs = [random.sample(range(number), min(number, random.randint(0, 2))) for number in range(8)] + [[]] * 4
        needs += [[random.randint(8, 11)], [12]]
        tasks = tasks_that_need(needs, parents)
        for each in blocked_among(tasks, tasks):
            number = each.task.created_number or 0
            before = done_before(number, is_begun=True, needs=needs, parents=parents)
            assert (len(each.chain), each.chain_length) == (before, before)
        for number in range(14):
            path = critical_path([task_id(number)], tasks).tasks
            assert path[-1].id == task_id(number)
            assert len(path) - 1 == done_before(number, is_begun=False, needs=needs, parents=parents)
        assert len(critical_path(tasks, tasks).tasks) == max(
            1 + done_before(number, is_begun=False, needs=needs, parents=parents) for number in range(14)
        )


def test_finished_tasks_below_are_not_in_the_chain() -> None:
    """They are not waited for; nor is a chain longer for what a completed task needed."""
    tasks = tasks_that_need([[], [0], [3], []], {1: 3})
    done = structs.replace(tasks[task_id(1)], state=State.COMPLETED)
    assert [each.task.created_number for each in blocked_among(tasks, tasks | {done.id: done})] == [2]
    assert blocked_among(tasks, tasks | {done.id: done})[0].chain == (task_id(3),)


def test_blockers_come_in_the_order_of_work() -> None:
    """The most urgent first, then the oldest; one that was removed comes last."""
    tasks = tasks_that_need([[], [], [], [0, 1, 2, 7]])
    tasks |= {task_id(1): structs.replace(tasks[task_id(1)], priority=0)}
    (blocked,) = blocked_among(tasks, tasks)
    assert [block.blocker_id for block in blocked.blocks] == [task_id(each) for each in (1, 0, 2, 7)]


def test_circle_ends_where_it_begins_again() -> None:
    """No command makes one, but an event of another program might."""
    tasks = tasks_that_need([[2], [0], [1], [0]])
    assert all(each.chain_length == len(each.chain) <= len(tasks) for each in blocked_among(tasks, tasks))


def test_long_chains_stay_small() -> None:
    """In memory: `tt blocked` of 8,000 tasks in a row took 645 MB."""
    tasks = tasks_that_need([[number - 1] if number else [] for number in range(CHAIN_TASKS)])
    tracemalloc.start()
    try:
        found = blocked_among(tasks, tasks)
        assert tracemalloc.get_traced_memory()[1] < CHAIN_BYTES_MAX
    finally:
        tracemalloc.stop()
    assert found[0].chain_length == CHAIN_TASKS - 1
