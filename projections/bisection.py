"""Bisection: which number of an event to look at next, to find the first one that made a board bad. Pure.

Between a good number and a bad one there is a first bad one, as long as what is bad stays so. Each look halves what is left,
so that with the look at the good one it takes at most log2(n) + 2 looks for n events, and more only where looks tell nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SKIPS_MAX: Final = 100
"""After so many looks that told nothing, what is left is the answer."""


class Verdict(StrEnum):
    """What a look at the board after an event told."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


class Bisection:
    """The search from a good number, which is 0 where the board is empty, to a later bad one."""

    def __init__(self, good: int, bad: int) -> None:
        assert good < bad, "the good number comes first"
        self.good = good
        """The last number that is known to be good, or was said to be so."""
        self.bad = bad
        """The first number that is known to be bad, or was said to be so."""
        self._said = {good: Verdict.GOOD, bad: Verdict.BAD}
        self.verdicts: dict[int, Verdict] = {}

    def next(self) -> int | None:
        """The number to look at; None where the answer is known, as far as it can be.

        The good one is looked at first: a look that is bad everywhere would else find any event. The bad one is looked at last,
        and only where nothing else was bad.
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
        """What the look at `number` told."""
        self.verdicts[number] = verdict
        if number in self._said:
            return
        if verdict is Verdict.GOOD:
            self.good = max(self.good, number)
        elif verdict is Verdict.BAD:
            self.bad = min(self.bad, number)

    @property
    def mistaken(self) -> int | None:
        """The number that was said to be good or bad, and is not; None where both are."""
        return next(
            (number for number, said in self._said.items() if self.verdicts.get(number, said) is not said), None
        )

    @property
    def skips(self) -> int:
        """How many looks told nothing."""
        return sum(verdict is Verdict.SKIPPED for verdict in self.verdicts.values())

    @property
    def candidates(self) -> range:
        """The numbers that may be the first bad one: one of them, where it is found."""
        return range(self.good + 1, self.bad + 1)

    @property
    def looks_max(self) -> int:
        """How many looks it takes at most, in all, if none of those to come is skipped."""
        good, bad = self._said
        return (bad - good).bit_length() + 1 + self.skips

    def _between(self) -> int | None:
        """The number nearest to the middle that was not skipped, of those between good and bad; None where there is none.

        The good half is the smaller one, so that the way on which nothing is bad, which ends with a look at the bad one, is the
        shorter one too.
        """
        first, last = self.good + 1, self.bad - 1
        if last < first:
            return None
        middle = (self.good + self.bad + 1) // 2
        for distance in _distances(last - first + 1):
            for number in (middle - distance, middle + distance):
                if first <= number <= last and number not in self.verdicts:
                    return number
        return None


def _distances(count: int) -> list[int]:
    """How far from the middle to look: twice as far each time, because events that tell nothing stand together; then all others, if few."""
    doubled = [0, *(2**power for power in range(count.bit_length()))]
    return doubled if count > SKIPS_MAX else [*doubled, *range(count)]
