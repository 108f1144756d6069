"""Listing: finds a page of the tasks that are in several sets at once, in the order they were created.

A page does not read every id that matches: it walks the order of creation from one end until it is full. If few tasks match,
or if they are far from that end, it intersects the sets, which reads exactly the ids that match. How many match is always
told if the server has that number or can count it quickly. docs/decisions/0026.

The server intersects and counts sets itself. Where tasks may be in one of several sets, or must not be in some, a script goes
through the smallest of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct

from ledger import Keys, State, redis_errors
from projections.errors import ViewsIncompleteError
from projections.filter import KeySets
from projections.views.counts import Counts
from projections.views.created import Created

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

    from projections.lua.scan import ScanScript
    from projections.lua.walk import WalkScript

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
        from projections.lua.walk import WalkScript  # noqa: PLC0415 - many lists do without it

        return WalkScript(self._client)

    @cached_property
    def _scan_script(self) -> ScanScript:
        from projections.lua.scan import ScanScript  # noqa: PLC0415 - few lists need it

        return ScanScript(self._client)

    def page(
        self,
        sets: KeySets,
        sizes: Sizes,
        *,
        offset: int,
        limit: int | None,
        is_newest_first: bool = False,
        counted_as: tuple[str, Sequence[str]] | None = None,
        rest: Sizes | None = None,
    ) -> tuple[list[str], int | None]:
        """A page of the ids that `sets` want, and how many there are; None if there are more than were counted.

        `counted_as` is the part and the fields of the counts that add up to this number, if there are such. Otherwise ids in
        several sets are counted one by one: up to COUNTED_MAX, and all of them if `limit` is 0 or None. `rest` are sets that
        have every task that is not in the first of two conditions, or in `either`: if these are few, they are counted instead.

        Several keys hold the same tasks, so a lost key shows as a mismatch with another: ViewsIncompleteError.
        Source: ZRANGE, SINTERCARD, walk.lua, ZINTER, scan.lua.
        """
        last = None if limit is None else offset + limit
        look = self._look(
            sets,
            sizes,
            slice(offset, last),
            is_newest_first=is_newest_first,
            counted_as=counted_as,
            count_max=COUNTED_MAX + 1 if limit else 0,
        )
        if look.ids is not None:
            assert look.total is not None
            return look.ids, look.total
        if last is None:
            return self._scan(sets, look.sizes, slice(offset, None), is_newest_first)
        total = look.total
        if total is None and rest and look.all_tasks - sets.group_sizes(look.sizes)[0] <= COUNTED_MAX:
            total = self._count_outside(rest, sets.each[-1])
        at_least = self._count_some(sets, look, COUNTED_MAX + 1 if limit else 0) if total is None else total
        if not limit or at_least <= COUNTED_MAX:
            total = at_least
        if not limit:
            return [], total
        return self._search(sets, look, slice(offset, last), is_newest_first, total=total, at_least=at_least)

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

    def _search(
        self, sets: KeySets, look: _Look, page: slice, is_newest_first: bool, *, total: int | None, at_least: int
    ) -> tuple[list[str], int | None]:
        """The ids of a page, and how many match. `total` is None if only `at_least` were counted."""
        # One more than the page shows whether there are more.
        wanted = page.stop + 1 if total is None else min(page.stop, total)
        smallest = min([look.all_tasks, *sets.group_sizes(look.sizes)])
        expected = max(at_least, _expected(sets, look)) if total is None else total
        walked = None
        if _is_walk_short(wanted=wanted, total=expected, all_tasks=look.all_tasks, smallest=smallest):
            # The smallest set first: the others are asked only about what it has.
            walked = self._walk(sets.smallest_first(look.sizes), wanted, is_newest_first, ids_max=smallest)
        if walked is not None:
            # If these are fewer than were wanted, they are all there are.
            return walked[page], len(walked) if total is None and len(walked) < wanted else total
        if sets.is_plain:
            found, matching = self._intersect(sets.each, page, is_newest_first)
            return found, matching if total is None else total
        found, matching = self._scan(sets, look.sizes, page, is_newest_first)
        return found, matching if total is None else total

    def _look(
        self,
        sets: KeySets,
        sizes: Sizes,
        page: slice,
        *,
        is_newest_first: bool,
        counted_as: tuple[str, Sequence[str]] | None,
        count_max: int,
    ) -> _Look:
        """What one transaction can answer, so that the numbers compared are of one moment.

        Ids in several sets are counted up to `count_max`, unless that is 0.
        """
        direction = ["REV"] if is_newest_first else []
        is_empty = page.start == page.stop
        each = sets.each if sets.is_plain else ()
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=True)
            if each and page.stop is None:
                # Only the order of creation has a weight, so it decides the order of the result.
                pipeline.zinter({self._created: 1} | dict.fromkeys(each, 0), aggregate="SUM")
            elif sets.keys or is_empty:
                pipeline.zrange(self._created, 1, 0)
            else:
                end = -1 if page.stop is None else page.stop - 1
                pipeline.execute_command("ZRANGE", self._created, page.start, end, *direction)  # type: ignore[no-untyped-call]
            if counted_as is not None:
                pipeline.hmget(self._keys.view(Counts.name, counted_as[0]), list(counted_as[1]))
            elif len(each) > 1:
                pipeline.execute_command("SINTERCARD", len(each), *each, "LIMIT", count_max)  # type: ignore[no-untyped-call]
            else:
                pipeline.scard(each[0]) if each else pipeline.zcard(self._created)
            pipeline.zcard(self._created)
            pipeline.hmget(self._keys.view(Counts.name, "state"), [*State])
            self._ask_sizes(pipeline, sizes)
            for key in sets.keys:
                pipeline.scard(key)
            ids, size, *counted = pipeline.execute()
        _check([self._created, *sizes], counted)
        set_sizes = dict(zip(sets.keys, counted[2 + 2 * len(sizes) :], strict=True))
        found = [task_id.decode(errors="replace") for task_id in cast("list[bytes]", ids)]
        if each and page.stop is None:
            found = (found[::-1] if is_newest_first else found)[page]
        is_found = sets.is_plain and (not each or is_empty or page.stop is None)
        some = sum(map(number_of, size)) if counted_as is not None else _known_size(sets, size, set_sizes)
        is_counted = some is not None and (counted_as is not None or len(each) < 2 or not count_max)
        return _Look(found if is_found else None, some if is_counted else None, some, counted[0], set_sizes)

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

    def _walk(self, sets: KeySets, wanted: int, is_newest_first: bool, *, ids_max: int) -> list[str] | None:
        with redis_errors(self._where):
            return self._walk_script(
                order_key=self._created,
                sets=sets,
                wanted=wanted,
                walk_ids_max=ids_max,
                is_newest_first=is_newest_first,
            )

    def _scan(
        self, sets: KeySets, sizes: Mapping[str, int], page: slice, is_newest_first: bool
    ) -> tuple[list[str], int]:
        with redis_errors(self._where):
            return self._scan_script(
                order_key=self._created,
                sets=sets,
                scanned=sets.smallest(sizes),
                first=page.start,
                last=page.stop,
                is_newest_first=is_newest_first,
            )

    def _count_some(self, sets: KeySets, look: _Look, count_max: int) -> int:
        """How many tasks are wanted; `count_max` of them are enough, unless that is 0."""
        if look.some is not None:
            return look.some
        sure = _sure_size(sets, look)
        return sure if 0 < count_max <= sure else self._count(sets, look.sizes, count_max)

    def _count(self, sets: KeySets, sizes: Mapping[str, int], count_max: int) -> int:
        with redis_errors(self._where):
            return self._scan_script(
                order_key=self._created, sets=sets, scanned=sets.smallest(sizes), count_max=count_max
            )[1]

    def _intersect(self, sets: Sequence[str], page: slice, is_newest_first: bool) -> tuple[list[str], int]:
        """The ids of a page of those in all of these sets, and how many there are."""
        with redis_errors(self._where):
            ids = self._client.zinter({self._created: 1} | dict.fromkeys(sets, 0), aggregate="SUM")
        matching = cast("list[bytes]", ids)
        found = (matching[::-1] if is_newest_first else matching)[page]
        return [task_id.decode(errors="replace") for task_id in found], len(matching)


def number_of(count: bytes | None) -> int:
    """A count in a view; 0 if it is missing. ViewsIncompleteError."""
    try:
        return int(count or 0)
    except ValueError:
        raise ViewsIncompleteError("a count is no number") from None


class _Look(Struct, frozen=True):
    """What one transaction has answered."""

    ids: list[str] | None
    """The page; None if it must still be searched."""
    total: int | None
    """How many match; None if they were not all counted."""
    some: int | None
    """How many were counted; None if they must still be counted."""
    all_tasks: int
    sizes: Mapping[str, int]
    """How many tasks each set has."""


def _known_size(sets: KeySets, size: int, set_sizes: Mapping[str, int]) -> int | None:
    """How many tasks are wanted, if their sets are plain, of which the server counted `size`, or if one condition says it."""
    if sets.is_plain:
        return size
    if not sets.each and not sets.without:
        return sum(set_sizes.values())
    if not sets.each and not sets.either and len(sets.without) == 1:
        return size - set_sizes[sets.without[0]]
    return None


def _sure_size(sets: KeySets, look: _Look) -> int:
    """How many tasks are wanted at least, as far as the sizes say."""
    groups = sets.group_sizes(look.sizes)
    inside = look.all_tasks if not groups else groups[0] if len(groups) == 1 else 0
    return inside - sum(look.sizes[key] for key in sets.without)


def _expected(sets: KeySets, look: _Look) -> int:
    """How many tasks are wanted, if being in one set says nothing about being in another."""
    all_tasks = max(look.all_tasks, 1)
    inside = prod(size / all_tasks for size in sets.group_sizes(look.sizes))
    outside = prod(1 - look.sizes[key] / all_tasks for key in sets.without)
    return int(all_tasks * inside * outside)


def _is_walk_short(*, wanted: int, total: int, all_tasks: int, smallest: int) -> bool:
    """Whether no more ids are walked past than the smallest set has, if those that match lie evenly among the others."""
    return wanted * all_tasks <= total * smallest


def _check(keys: Sequence[str], counted: Sequence[Any]) -> None:
    """ViewsIncompleteError unless each of `keys` has as many tasks as counted. `counted` alternates sizes and counts."""
    for number, key in enumerate(keys):
        size, expected = counted[2 * number], sum(map(number_of, counted[2 * number + 1]))
        if size != expected:
            raise ViewsIncompleteError(f"the key {key} holds {size:,} tasks, and {expected:,} are counted")
