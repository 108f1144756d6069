"""Listing: finds a page of the tasks that are in several sets at once, in the order they were created.

A page does not read every id that matches: it walks the order of creation from one end until it is full. If few tasks match,
or if they are far from that end, it intersects the sets, which reads exactly the ids that match. How many match is always
told if the server has that number or can count it quickly. docs/decisions/0026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Final, cast

from ledger import Keys, State, redis_errors
from projections.errors import ViewsIncompleteError
from projections.lua import WalkScript
from projections.views.counts import Counts
from projections.views.created import Created

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

Sizes = Mapping[str, tuple[str, Sequence[str]]]
"""Key of a set whose size is also counted -> the part and the fields of the counts that add up to it."""

COUNTED_MAX: Final = 1_000
"""At most how many tasks are counted one by one. Counting 33,000 takes the server twenty times as long as finding their page."""


class Listing:
    """One town's tasks in the order they were created. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._created = keys.view(Created.name)

    @cached_property
    def _walk_script(self) -> WalkScript:
        return WalkScript(self._client)

    def page(
        self,
        sets: Sequence[str],
        sizes: Sizes,
        *,
        offset: int,
        limit: int | None,
        is_newest_first: bool = False,
        counted_as: tuple[str, str] | None = None,
        rest: Sizes | None = None,
    ) -> tuple[list[str], int | None]:
        """A page of the ids that are in all of `sets`, and how many there are; None if there are more than were counted.

        `counted_as` is the part and the field of the counts that hold this number, if there is one. Otherwise the server
        counts the ids that are in several sets one by one: up to COUNTED_MAX, and all of them if `limit` is 0 or None.
        `rest` are sets that have every task that is not in the first of two `sets`: if these are few, they are counted instead.

        Several keys hold the same tasks, so a lost key shows as a mismatch with another: ViewsIncompleteError.
        Source: ZRANGE, SINTERCARD, walk.lua, ZINTER.
        """
        last = None if limit is None else offset + limit
        is_counted = counted_as is not None or len(sets) < 2 or not limit
        found, total, all_tasks, set_sizes = self._look(
            sets,
            sizes,
            slice(offset, last),
            is_newest_first=is_newest_first,
            counted_as=counted_as,
            count_max=0 if is_counted else COUNTED_MAX + 1,
        )
        if found is not None:
            return found, total
        assert last is not None
        if not is_counted and rest and all_tasks - set_sizes[sets[0]] <= COUNTED_MAX:
            total, is_counted = self._count_outside(rest, sets[1]), True
        is_counted = is_counted or total <= COUNTED_MAX
        # One more than the page shows whether there are more.
        wanted = min(last, total) if is_counted else last + 1
        smallest = min(set_sizes.values())
        walked = None
        expected = total if is_counted else max(total, _expected(set_sizes.values(), all_tasks))
        if _is_walk_short(wanted=wanted, total=expected, all_tasks=all_tasks, smallest=smallest):
            # The smallest set first: the others are asked only about what it has.
            by_size = sorted(sets, key=set_sizes.__getitem__)
            walked = self._walk(by_size, wanted, is_newest_first, ids_max=smallest)
        matching = self._intersect(sets, is_newest_first) if walked is None else walked
        if not is_counted and (walked is None or len(walked) < wanted):
            # These are all there are.
            is_counted, total = True, len(matching)
        return matching[offset:last], total if is_counted else None

    def outside(self, insides: Sequence[str], others: Sequence[str]) -> list[str]:
        """The ids in any of the sets `insides` but in none of `others`, oldest first. Source: SDIFF, ZMSCORE."""
        found: list[str] = []
        with redis_errors(self._where):
            for inside in insides:
                found += [
                    task_id.decode(errors="replace")
                    for task_id in cast("set[bytes]", self._client.sdiff([inside, *others]))
                ]
            numbers = cast("list[float | None]", self._client.zmscore(self._created, found)) if found else []
        order = dict(zip(found, numbers, strict=True))
        return sorted(order, key=lambda task_id: (order[task_id] or 0, task_id))

    def _look(
        self,
        sets: Sequence[str],
        sizes: Sizes,
        page: slice,
        *,
        is_newest_first: bool,
        counted_as: tuple[str, str] | None,
        count_max: int,
    ) -> tuple[list[str] | None, int, int, dict[str, int]]:
        """What one transaction can answer, so that the numbers compared are of one moment.

        Returns the ids (None if the page must still be searched), how many match (ids that are counted one by one: at most
        `count_max`, unless that is 0), how many tasks there are, and the size of each set.
        """
        direction = ["REV"] if is_newest_first else []
        is_empty = page.start == page.stop
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=True)
            if sets and page.stop is None:
                # Only the order of creation has a weight, so it decides the order of the result.
                pipeline.zinter({self._created: 1} | dict.fromkeys(sets, 0), aggregate="SUM")
            elif sets or is_empty:
                pipeline.zrange(self._created, 1, 0)
            else:
                end = -1 if page.stop is None else page.stop - 1
                pipeline.execute_command("ZRANGE", self._created, page.start, end, *direction)  # type: ignore[no-untyped-call]
            if counted_as is not None:
                pipeline.hget(self._keys.view(Counts.name, counted_as[0]), counted_as[1])
            elif len(sets) > 1:
                pipeline.execute_command("SINTERCARD", len(sets), *sets, "LIMIT", count_max)  # type: ignore[no-untyped-call]
            else:
                pipeline.scard(sets[0]) if sets else pipeline.zcard(self._created)
            pipeline.zcard(self._created)
            pipeline.hmget(self._keys.view(Counts.name, "state"), [*State])
            self._ask_sizes(pipeline, sizes)
            for key in sets:
                pipeline.scard(key)
            ids, size, *counted = pipeline.execute()
        _check([self._created, *sizes], counted)
        total = size if counted_as is None else number_of(size)
        set_sizes = dict(zip(sets, counted[2 + 2 * len(sizes) :], strict=True))
        found = [task_id.decode(errors="replace") for task_id in cast("list[bytes]", ids)]
        if sets and page.stop is None:
            found = (found[::-1] if is_newest_first else found)[page]
        is_found = not sets or is_empty or page.stop is None
        return found if is_found else None, total, counted[0], set_sizes

    def _count_outside(self, rest: Sizes, within: str) -> int:
        """How many of the tasks in the set `within` are in none of the sets `rest`, which have no task in common."""
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.scard(within)
            for key in rest:
                pipeline.execute_command("SINTERCARD", 2, within, key)  # type: ignore[no-untyped-call]
            self._ask_sizes(pipeline, rest)
            size, *answers = pipeline.execute()
        _check(list(rest), answers[len(rest) :])
        return cast("int", size - sum(answers[: len(rest)]))

    def _ask_sizes(self, pipeline: Pipeline, sizes: Sizes) -> None:
        for key, (part, fields) in sizes.items():
            pipeline.scard(key)
            pipeline.hmget(self._keys.view(Counts.name, part), list(fields))

    def _walk(self, sets: Sequence[str], wanted: int, is_newest_first: bool, *, ids_max: int) -> list[str] | None:
        with redis_errors(self._where):
            return self._walk_script(
                order_key=self._created,
                set_keys=sets,
                wanted=wanted,
                walk_ids_max=ids_max,
                is_newest_first=is_newest_first,
            )

    def _intersect(self, sets: Sequence[str], is_newest_first: bool) -> list[str]:
        with redis_errors(self._where):
            ids = self._client.zinter({self._created: 1} | dict.fromkeys(sets, 0), aggregate="SUM")
        found = [task_id.decode(errors="replace") for task_id in cast("list[bytes]", ids)]
        return found[::-1] if is_newest_first else found


def number_of(count: bytes | None) -> int:
    """A count in a view; 0 if it is missing. ViewsIncompleteError."""
    try:
        return int(count or 0)
    except ValueError:
        raise ViewsIncompleteError("a count is no number") from None


def _expected(sizes: Iterable[int], all_tasks: int) -> int:
    """How many tasks are in all of the sets, if being in one says nothing about being in another."""
    return int(all_tasks * prod(size / all_tasks for size in sizes))


def _is_walk_short(*, wanted: int, total: int, all_tasks: int, smallest: int) -> bool:
    """Whether no more ids are walked past than the smallest set has, if those that match lie evenly among the others."""
    return wanted * all_tasks <= total * smallest


def _check(keys: Sequence[str], counted: Sequence[Any]) -> None:
    """ViewsIncompleteError unless each of `keys` has as many tasks as counted. `counted` alternates sizes and counts."""
    for number, key in enumerate(keys):
        size, expected = counted[2 * number], sum(map(number_of, counted[2 * number + 1]))
        if size != expected:
            raise ViewsIncompleteError(f"the key {key} holds {size:,} tasks, and {expected:,} are counted")
