"""What a search for circles costs. Which ones it finds is held by `test_knots` and by `tests/property/test_readiness`."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from ledger import Ties, find_circle
from ledger.circles import Found

TASKS = 300


class CountedId(str):
    """An id that counts how often ids are hashed: to look one up in a set or dict does it once."""

    __slots__ = ()
    hashes: ClassVar[int] = 0

    def __hash__(self) -> int:
        CountedId.hashes += 1
        return super().__hash__()


def look_up(task_ids: Collection[str]) -> Found:
    """A town that has none of them."""
    return dict.fromkeys(task_ids, (None, ()))


def test_many_tasks_cost_as_much_each_as_few() -> None:
    """An import of 20,000 issues that need one walked through all of them for each: it took four times as long as it should."""
    first, *others = [CountedId(f"task {number}") for number in range(TASKS)]
    CountedId.hashes = 0
    assert find_circle({first: Ties(), **{each: Ties(None, (first,)) for each in others}}, look_up) == ()
    assert CountedId.hashes < 60 * TASKS
