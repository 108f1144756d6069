"""Ranks the tasks of an index by the words they have, as `query.score` ranks them by their texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from operator import and_
from typing import Final, NamedTuple

from projections.search.query import FORMER, score_of
from projections.search.segment import CONDITION, Postings

Ranking = Mapping[int, AbstractSet[int]]
"""Score -> the numbers of the tasks with that score."""


class Met(NamedTuple):
    """Which tasks have the words of a condition, and whether it asks for the others."""

    postings: Sequence[Postings]
    is_not: bool


_NOBODY: Final[frozenset[int]] = frozenset()


def rank(words: Sequence[Postings], conditions: Sequence[Met], *, without: AbstractSet[int], is_ever: bool) -> Ranking:
    """The tasks that have every word and meet every condition, but for those in `without`."""
    scored = [_by_score(each, is_ever=is_ever) for each in words]
    found = [set().union(*each.values()) for each in scored]
    met = [(_met(each.postings), each.is_not) for each in conditions]
    found += [numbers for numbers, is_not in met if not is_not]
    hits: set[int] = reduce(and_, sorted(found, key=len)).difference(
        without, *(numbers for numbers, is_not in met if is_not)
    )
    return reduce(_together, (_best_of(hits, each) for each in scored))


def _together(one: Mapping[int, set[int]], other: Mapping[int, set[int]]) -> dict[int, set[int]]:
    """The tasks by the sum of both scores. Both have the same tasks. Sets are quicker here than a look at each task."""
    sums: dict[int, set[int]] = {}
    for score, numbers in one.items():
        for more, others in other.items():
            sums.setdefault(score + more, set()).update(numbers & others)
    return {score: numbers for score, numbers in sums.items() if numbers}


def best_first(rankings: Sequence[Ranking], *, offset: int, limit: int | None) -> Iterator[tuple[int, int]]:
    """Score and number of the tasks from `offset`, at most `limit`: best first, then newest first."""
    stop = None if limit is None else offset + limit
    passed = 0
    for score in sorted(set().union(*rankings), reverse=True):
        same = [number for ranking in rankings for number in ranking.get(score, _NOBODY)]
        start, end = max(offset - passed, 0), None if stop is None else stop - passed
        if start < len(same):
            yield from ((score, number) for number in sorted(same, reverse=True)[start:end])
        passed += len(same)
        if stop is not None and passed >= stop:
            return


def _met(postings: Sequence[Postings]) -> set[int]:
    """The tasks that have one of the words of a condition."""
    return set().union(*(each.whole.get(CONDITION, ()) for each in postings))


def _by_score(postings: Postings, *, is_ever: bool) -> dict[int, Sequence[int]]:
    """The tasks by the scores of the places where they have a word, best first."""
    by_score = {
        score_of(worth, is_whole=is_whole): numbers
        for is_whole, places in ((True, postings.whole), (False, postings.begun))
        for worth, numbers in places.items()
        if is_ever or worth != FORMER
    }
    return dict(sorted(by_score.items(), reverse=True))


def _best_of(hits: AbstractSet[int], by_score: Mapping[int, Sequence[int]]) -> dict[int, set[int]]:
    """The hits by the score of their best place; each is there once."""
    rest = set(hits)
    best: dict[int, set[int]] = {}
    for score, numbers in by_score.items():
        best[score] = rest.intersection(numbers)
        rest -= best[score]
    return best
