"""A look at the past, with kept boards and without: `python -m tests.benchmarks.past`.

At moments of all ages, the first page of completed tasks and the counts of states. Once with an empty cache, which the look
fills; then at moments that nobody has looked at yet; then at each of them again.
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest.mock import patch

from ledger import Keys, State
from projections import TaskFilter
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, Timing, a_bench, fill, timed
from tests.benchmarks.measure import main as measure
from town.backend import Backend
from town.reading import folding
from town.reading.past import Past

EVENTS = 1_000_000
PAGE: Final = 50
SHARES: Final = (0.9, 0.75, 0.6, 0.45, 0.3)
"""Where the moments lie in the ledger."""


def run(events: int, runs: int) -> Figures:
    """Times of a look, and ratios to the same look without a cache; all in one run, the ways taking turns."""
    tasks = events // EVENTS_PER_TASK
    with a_bench() as bench:
        total = fill(bench.store, tasks=tasks)
        with _small_enough(total):
            return {"events": total, "tasks": tasks} | _looks(bench, total, runs)


def _looks(bench: Bench, total: int, runs: int) -> Figures:
    without, first, any_moment, second = (_Turns() for _ in range(4))
    for turn in range(runs):
        with _a_cache(bench) as look:
            last = partial(look, total - turn)
            plain = _without(last)
            first.add(timed(last), plain)
            second.add(timed(last), plain)
            for share in SHARES:
                earlier = partial(look, int(total * share) - turn)
                plain = _without(earlier)
                without.add(plain, plain)
                any_moment.add(timed(earlier), plain)
                second.add(timed(earlier), plain)
    return (
        {"without, s": statistics.median(timing.wall for timing in without.timings)}
        | first.figures("first look, which keeps boards")
        | any_moment.figures("any moment")
        | second.figures("second look")
    )


def _without(look: Callable[[], object]) -> Timing:
    """How long it takes where nothing is kept."""
    with patch.dict(os.environ, {"TT_CACHE": "0"}):
        return timed(look)


class _Turns:
    """Looks of one kind, each beside the same look without a cache."""

    def __init__(self) -> None:
        self.timings: list[Timing] = []
        self._plain: list[Timing] = []

    def add(self, timing: Timing, plain: Timing) -> None:
        self.timings.append(timing)
        self._plain.append(plain)

    def figures(self, name: str) -> Figures:
        """The median time, and of the ratios the median and the greatest."""
        walls = [timing.wall / plain.wall for timing, plain in zip(self.timings, self._plain, strict=True)]
        cpus = [timing.cpu / plain.cpu for timing, plain in zip(self.timings, self._plain, strict=True)]
        return {
            f"{name}, s": statistics.median(timing.wall for timing in self.timings),
            f"{name} / without": statistics.median(walls),
            f"{name} / without, at most": max(walls),
            f"{name} / without by CPU": statistics.median(cpus),
        }


@contextmanager
def _a_cache(bench: Bench) -> Iterator[Callable[[int], object]]:
    """A look at an event's number, with a cache that is empty at first."""
    with TemporaryDirectory(prefix="tt-bench-cache-") as name, patch.dict(os.environ, {"XDG_CACHE_HOME": name}):

        def look(number: int) -> object:
            backend = Backend(bench.client, Keys(bench.keys.town), folder=Path(name), actor="bench")
            position = backend.store.position_of(number)
            assert position is not None
            board = Past(backend, position).board
            page = board.page(TaskFilter(state=State.COMPLETED), limit=PAGE)
            counts = board.count_states()
            del board
            gc.collect()
            return page, counts

        yield look


@contextmanager
def _small_enough(total: int) -> Iterator[None]:
    """With few events, as in a test, a board is kept after fewer."""
    most, least = min(folding.FOLDED_EVENTS_MAX, total // 10), min(folding.KEPT_EVENTS_MIN, total // 40)
    with patch.object(folding, "FOLDED_EVENTS_MAX", most), patch.object(folding, "KEPT_EVENTS_MIN", least):
        yield


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
