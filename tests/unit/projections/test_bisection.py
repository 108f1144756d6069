"""Bisection: the first bad number is found in few looks, and what looks cannot tell is said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest

from projections.bisection import SKIPS_MAX, Bisection, Verdict


def test_first_bad_one_is_found_in_log2_looks_and_two() -> None:
    """Of any number of events, wherever it is; the looks at both ends are among them, where they are needed."""
    for events in [*range(1, 130), 1_000, 1_023, 1_024, 1_025]:
        for first in {*range(1, min(events, 130) + 1), events // 2 + 1, events - 1 or 1, events}:
            bisection = searched(Bisection(7, 7 + events), bad_from(7 + first))
            assert list(bisection.candidates) == [7 + first]
            assert len(bisection.verdicts) <= math.log2(events) + 2
            assert len(bisection.verdicts) <= bisection.looks_max <= math.log2(events) + 2
            assert bisection.mistaken is None


@pytest.mark.parametrize(
    ("verdict", "mistaken", "looks"), [(Verdict.BAD, 10, 1), (Verdict.GOOD, 20, 5), (Verdict.SKIPPED, 10, 1)]
)
def test_ends_that_are_not_as_they_were_said_to_be_are_told(verdict: Verdict, mistaken: int, looks: int) -> None:
    """A program that always says the same finds nothing: good that is bad at the first look, bad that is good at the last."""
    bisection = searched(Bisection(10, 20), lambda _: verdict)
    assert bisection.mistaken == mistaken
    assert len(bisection.verdicts) == looks


def test_skipped_ones_are_gone_round() -> None:
    """The first bad one is found where no skipped one stands before it."""
    bisection = searched(Bisection(0, 1_000), lambda number: judged(number >= 700, is_skipped=400 <= number < 600))
    assert list(bisection.candidates) == [700]


def test_skipped_look_is_one_more() -> None:
    """What is told as the most looks has it."""
    bisection = Bisection(0, 1_000)
    assert bisection.looks_max == 11
    bisection.tell(500, Verdict.SKIPPED)
    assert bisection.looks_max == 12


def test_looks_are_never_more_than_were_told() -> None:
    """The way round skipped ones may be longer than half of what is left each time; it said "18 of at most 17"."""
    bisection = Bisection(0, 20)
    while (number := bisection.next()) is not None:
        bisection.tell(number, judged(number >= 18, is_skipped=5 <= number <= 16))
        assert len(bisection.verdicts) <= bisection.looks_max


@pytest.mark.parametrize("sound", range(1_001, 1_060))
def test_of_few_left_each_is_looked_at(sound: int) -> None:
    """Wherever the only one is that can be judged, before or after the middle, it is found."""
    bisection = searched(
        Bisection(1_000, 1_060),
        lambda number: judged(number >= 1_030, is_skipped=number not in {1_000, sound, 1_060}),
    )
    assert bisection.candidates == (range(sound + 1, 1_061) if sound < 1_030 else range(1_001, sound + 1))


def test_first_bad_one_among_skipped_ones_is_any_of_them() -> None:
    """What is left is told: the skipped ones, and the bad one after them."""
    bisection = searched(Bisection(0, 32), lambda number: judged(number >= 17, is_skipped=10 <= number < 20))
    assert bisection.candidates == range(10, 21)
    assert bisection.mistaken is None


def test_search_ends_where_nothing_can_be_told() -> None:
    """After a bound of looks, however many events there are."""
    bisection = searched(
        Bisection(0, 1_000_000), lambda number: judged(number == 1_000_000, is_skipped=0 < number < 1_000_000)
    )
    assert bisection.candidates == range(1, 1_000_001)
    assert bisection.skips <= SKIPS_MAX


def test_search_ends_after_so_many_skipped_looks() -> None:
    """Also where now and then one can be judged, so that there is always a next one."""
    looks = itertools.count()
    bisection = searched(
        Bisection(0, 10**9), lambda number: judged(number >= 700_000_000, is_skipped=next(looks) % 10 != 0)
    )
    assert bisection.skips == SKIPS_MAX


def bad_from(first: int) -> Callable[[int], Verdict]:
    return lambda number: judged(number >= first)


def judged(is_bad: bool, *, is_skipped: bool = False) -> Verdict:
    if is_skipped:
        return Verdict.SKIPPED
    return Verdict.BAD if is_bad else Verdict.GOOD


def searched(bisection: Bisection, look: Callable[[int], Verdict]) -> Bisection:
    while (number := bisection.next()) is not None:
        assert number not in bisection.verdicts
        bisection.tell(number, look(number))
    return bisection
