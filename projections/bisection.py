"""Bisection: which number of an event to look at next, to find the first one that made a board bad. Pure.

If what is bad stays bad, there is a first bad number between a good and a bad one. Each look halves what is left. With the
look at the good one it takes at most log2(n) + 2 looks for n events, and more only if looks are skipped.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SKIPS_MAX: Final = 100
"""After so many skipped looks, what is left is the answer."""


class Verdict(StrEnum):
    """The result of a look at the board after an event."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


class Bisection:
    """The search from a good number, which is 0 for the empty board, to a later bad one."""

    def __init__(self, good: int, bad: int) -> None:
        assert good < bad, "the good number comes first"
        self.good = good
        """The last number that is known to be good, or was said to be so."""
        self.bad = bad
        """The first number that is known to be bad, or was said to be so."""
        self._said = {good: Verdict.GOOD, bad: Verdict.BAD}
        self.verdicts: dict[int, Verdict] = {}

    def next(self) -> int | None:
        """The number to look at. None if the answer is known, as far as it can be.

        The good one comes first, because a look that is bad everywhere would find some event otherwise. The bad one comes last,
        and only if nothing else was bad.
        """
        first = next(iter(self._said))
        if first not in self.verdicts:
            return first
        if self.mistaken is not None or self.skips >= SKIPS_MAX:
            return None
        wanted = self._between()
        if wanted is None and self.bad not in self.verdicts:
            return self.bad
        return wanted

    def tell(self, number: int, verdict: Verdict) -> None:
        """Take in the result of the look at `number`."""
        self.verdicts[number] = verdict
        if number in self._said:
            return
        if verdict is Verdict.GOOD:
            self.good = max(self.good, number)
        elif verdict is Verdict.BAD:
            self.bad = min(self.bad, number)

    @property
    def mistaken(self) -> int | None:
        """The number that was given as good or bad and is not. None if both are."""
        return next(
            (number for number, said in self._said.items() if self.verdicts.get(number, said) is not said), None
        )

    @property
    def skips(self) -> int:
        """How many looks were skipped."""
        return sum(verdict is Verdict.SKIPPED for verdict in self.verdicts.values())

    @property
    def candidates(self) -> range:
        """The numbers that may be the first bad one. There is one if it is found."""
        return range(self.good + 1, self.bad + 1)

    @property
    def looks_max(self) -> int:
        """How many looks it takes in all, at most, if no later one is skipped. The way round skipped ones may take a few more."""
        good, bad = self._said
        return max((bad - good).bit_length() + 1 + self.skips, len(self.verdicts))

    def _between(self) -> int | None:
        """The number between good and bad that is nearest to the middle and was not skipped. None if there is no such number.

        The good half is the smaller one, because the search in which nothing is bad takes one more look, at the bad one.
        """
        first, last = self.good + 1, self.bad - 1
        middle = (self.good + self.bad + 1) // 2
        for distance in _distances(last - first + 1):
            for number in (middle - distance, middle + distance):
                if first <= number <= last and number not in self.verdicts:
                    return number
        return None


def _distances(count: int) -> list[int]:
    """How far from the middle to look: twice as far each time, because skipped events are often neighbours. Then all others, if few."""
    doubled = [0, *(2**power for power in range(count.bit_length()))]
    return doubled if count > SKIPS_MAX else [*doubled, *range(count)]
