"""The board at any moment of a large town, from `tt serve`: `python -m tests.benchmarks.board`.

The first answer at moments that nobody looked at yet, of all ages, as somebody sees it who drags the slider. Cold: the cache is
empty, and nobody asked for the timeline, so nothing was kept. Warm: the boards are kept that the server makes by itself once
somebody asks for the timeline, as the page does. Again: the same moments once more. Beside it, a fold of all events.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from random import Random
from typing import Final

from projections import replay
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, timed
from tests.benchmarks.measure import main as measure
from tests.benchmarks.serve import a_town
from tests.support.kept import kept_numbers
from tests.support.serving import Serving, serving
from town import Town
from town.cache import CACHE_FILE
from town.reading.folding import FOLDED_EVENTS_MAX

EVENTS = 1_000_000
MOMENTS: Final = 20


_SECONDS_MAX: Final = 120.0


def run(events: int, runs: int) -> Figures:
    """Milliseconds of each kind of look: the median, what 95 of 100 took at most, and the longest."""
    found: dict[str, list[float]] = {}
    folds: list[float] = []
    with a_town(events // EVENTS_PER_TASK) as town:
        for turn in range(runs):
            for name, times in _one_run(town, Random(turn)):
                found.setdefault(name, []).extend(times)
            folds.append(timed(lambda: replay(town.backend.store)).wall * 1_000)
    fold = statistics.median(folds)
    figures: Figures = {"events": events, "moments": MOMENTS, "fold, ms": fold}
    for name, times in found.items():
        figures |= {
            f"{name}, ms": statistics.median(times),
            f"{name}, 95 %": _most(times),
            f"{name}, at most": max(times),
        }
    return figures | {"warm / fold": figures["warm, ms"] / fold}


def _most(times: Sequence[float]) -> float:
    """What 95 of 100 took at most."""
    return sorted(times)[-(-len(times) * 95 // 100) - 1]


def _one_run(town: Town, chance: Random) -> Iterator[tuple[str, list[float]]]:
    end = town.end().seq
    moments = [chance.randrange(1, end + 1) for _ in range(MOMENTS)]
    for file in (town.folder / ".tt").glob(f"{CACHE_FILE}*"):
        file.unlink()
    with serving(town.folder) as served:
        yield "cold", [_look(served, chance.randrange(int(end * 0.9), end))]
    for file in (town.folder / ".tt").glob(f"{CACHE_FILE}*"):
        file.unlink()
    with serving(town.folder) as served:
        began = time.perf_counter()
        _ask(served, "/api/v1/timeline")
        yield "now, while boards are kept", list(_looks_until_kept(served, town))
        yield "until boards are kept", [(time.perf_counter() - began) * 1_000]
        yield "warm", [_look(served, number) for number in moments]
        yield "again", [_look(served, number) for number in moments]
        yield "now", [_look(served, None) for _ in moments]


def _looks_until_kept(served: Serving, town: Town) -> Iterator[float]:
    """Looks at now, until the board at the end is kept too; a small town keeps none."""
    end, until = town.end().seq, time.monotonic() + _SECONDS_MAX
    yield _look(served, None)
    while end > FOLDED_EVENTS_MAX and end not in kept_numbers(town.folder):
        assert time.monotonic() < until, "boards are kept"
        yield _look(served, None)


def _look(served: Serving, number: int | None) -> float:
    return timed(partial(_ask, served, "/api/v1/board" + ("" if number is None else f"?at={number}"))).wall * 1_000


def _ask(served: Serving, path: str) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=_SECONDS_MAX)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    assert answer.status == 200, content
    return content


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
