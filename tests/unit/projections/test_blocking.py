"""What blocks tasks, and the chains behind it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

from ledger import State, Task
from projections import blocked_among
from tests.support.builders import task_id

CHAIN_TASKS = 4_000
CHAIN_BYTES_MAX = 20_000_000
"""Each task of a chain kept the ids of all behind it: 160 MB for these."""


def tasks_that_need(needs: Sequence[Sequence[int]]) -> dict[str, Task]:
    """Pending tasks by id; each needs the tasks at these places."""
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
