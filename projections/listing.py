"""Listing: a page of the tasks that are in several sets at once, in the order they were created.

A page does not read every id that matches: the order of creation is walked from its end until the page is full, and of each
stretch the server says which are in the sets. Where few match, or where they lie far from the end, the sets are
intersected, which reads all that match, but no more. docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ledger import Keys, State, ViewsIncompleteError, exchange, raise_error, redis_errors
from projections.views.counts import Counts
from projections.views.created import Created

if TYPE_CHECKING:
    from redis import Redis

Sizes = Mapping[str, tuple[str, Sequence[str]]]
"""Sets of which it is counted how many are in them: key -> the part and the fields of the counts whose sum is its size."""

INTERSECTED_MAX: Final = 1_000
"""So many ids are read sooner than they are looked for."""
STRETCH_IDS_MIN: Final = 100
STRETCH_IDS_MAX: Final = 4_000
_LONGER: Final = 4


class Listing:
    """One town's tasks in the order they were created. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._created = keys.view(Created.name)

    def page(
        self,
        sets: Sequence[str],
        sizes: Sizes,
        *,
        offset: int,
        limit: int | None,
        is_newest_first: bool = False,
        counted_as: tuple[str, str] | None = None,
    ) -> tuple[list[str], int]:
        """The ids that are in all of `sets`, a page of them, and how many there are.

        `counted_as` is the part and the field of the counts that have this number, where it is counted; else the server
        counts those in several sets one by one.

        Several keys hold the same tasks, so one that is lost shows in another: ViewsIncompleteError.
        Source: ZRANGE, SINTERCARD, SMISMEMBER, ZMSCORE, ZINTER.
        """
        last = None if limit is None else offset + limit
        stretch = min(max(last or 0, STRETCH_IDS_MIN), STRETCH_IDS_MAX)
        with redis_errors(self._where):
            # One transaction, so that what is compared is of one moment.
            pipeline = self._client.pipeline(transaction=True)
            if sets and last is None:
                # Only the order they were created in has weight.
                pipeline.zinter({self._created: 1} | dict.fromkeys(sets, 0), aggregate="SUM")
            elif limit == 0:
                pipeline.zrange(self._created, 1, 0)
            elif sets:
                pipeline.zrange(self._created, 0, stretch - 1, desc=is_newest_first)
            else:
                pipeline.zrange(self._created, offset, -1 if last is None else last - 1, desc=is_newest_first)
            if counted_as is not None:
                pipeline.hget(self._keys.view(Counts.name, counted_as[0]), counted_as[1])
            elif len(sets) > 1:
                pipeline.sintercard(len(sets), list(sets))
            else:
                pipeline.scard(sets[0]) if sets else pipeline.zcard(self._created)
            pipeline.zcard(self._created)
            pipeline.hmget(self._keys.view(Counts.name, "state"), [*State])
            for key, (part, fields) in sizes.items():
                pipeline.scard(key)
                pipeline.hmget(self._keys.view(Counts.name, part), list(fields))
            for key in sets:
                pipeline.scard(key)
            ids, size, *counted = pipeline.execute()
        total = size if counted_as is None else number_of(size)
        cardinalities = counted[2 + 2 * len(sizes) :]
        _check([self._created, *sizes], counted)
        found = [task.decode() for task in cast("list[bytes]", ids)]
        if not sets or limit == 0:
            return found, total
        if last is None:
            return (found[::-1] if is_newest_first else found)[offset:], total
        smallest, all_tasks = min(cardinalities), counted[0]
        wanted = min(last, total)
        # So many ids are walked past for the page, if those that match lie evenly among the others.
        is_walked = smallest > INTERSECTED_MAX and wanted * all_tasks <= total * smallest
        matching = self._walk(found, sets, wanted, is_newest_first, ids_max=smallest) if is_walked else None
        return (self._intersect(sets, is_newest_first) if matching is None else matching)[offset:last], total

    def outside(self, inside: str, others: Sequence[str]) -> list[str]:
        """The ids that are in the set `inside` and in none of `others`, in no order. Source: SDIFF."""
        with redis_errors(self._where):
            return [task.decode() for task in cast("set[bytes]", self._client.sdiff([inside, *others]))]

    def _walk(
        self, stretch: list[str], sets: Sequence[str], wanted: int, is_newest_first: bool, *, ids_max: int
    ) -> list[str] | None:
        """The first `wanted` ids that match, beginning with `stretch`; None where more than `ids_max` were walked past."""
        found: list[str] = []
        walked = 0
        while stretch:
            *memberships, scores = self._exchange(
                *(("SMISMEMBER", key, *stretch) for key in sets), ("ZMSCORE", self._created, stretch[-1])
            )
            found += [task for task, *are_in in zip(stretch, *memberships, strict=True) if all(are_in)]
            walked += len(stretch)
            if len(found) >= wanted:
                return found
            if walked >= ids_max or scores[0] is None:
                # The task where the walk would go on was removed meanwhile, which is as rare as it sounds.
                return None
            count = min(len(stretch) * _LONGER, STRETCH_IDS_MAX)
            end, direction = ("-inf", ["REV"]) if is_newest_first else ("+inf", [])
            (ids,) = self._exchange(
                ("ZRANGE", self._created, f"({_score_text(scores[0])}", end, "BYSCORE", *direction, "LIMIT", 0, count)
            )
            stretch = [task.decode() for task in ids]
        return found

    def _intersect(self, sets: Sequence[str], is_newest_first: bool) -> list[str]:
        with redis_errors(self._where):
            ids = self._client.zinter({self._created: 1} | dict.fromkeys(sets, 0), aggregate="SUM")
        found = [task.decode() for task in cast("list[bytes]", ids)]
        return found[::-1] if is_newest_first else found

    def _exchange(self, *commands: Sequence[str | int]) -> list[Any]:
        with redis_errors(self._where):
            replies = exchange(self._client, commands)
            raise_error(replies)
        return replies


def number_of(count: bytes | None) -> int:
    """A count as a view holds it; 0 where it holds none. ViewsIncompleteError."""
    try:
        return int(count or 0)
    except ValueError:
        raise ViewsIncompleteError("a count is no number") from None


def _score_text(score: bytes | float) -> str:
    """A score as either protocol has it, in the words of a command."""
    return score.decode() if isinstance(score, bytes) else repr(score)


def _check(keys: Sequence[str], counted: Sequence[Any]) -> None:
    """That each of `keys` holds as many tasks as are counted. `counted` has its size and the counts, in turn."""
    for number, key in enumerate(keys):
        size, expected = counted[2 * number], sum(map(number_of, counted[2 * number + 1]))
        if size != expected:
            raise ViewsIncompleteError(f"the key {key} holds {size:,} tasks, and {expected:,} are counted")
