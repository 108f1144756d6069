"""A search in a large town, with the index and without: `python -m tests.benchmarks.search`.

The words are made up, and as unevenly spread as those of a language; every fourth task got a note, and every tenth another title.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final

from ledger import (
    Event,
    EventStore,
    NewEvent,
    State,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskNoted,
    TaskStarted,
)
from projections import Found, TaskFilter
from tests.benchmarks.measure import Figures, Timing, median, medians, task_name, timed
from tests.benchmarks.measure import main as measure
from town import EmbeddedServer, Town
from town.cache import Cache
from town.reading import finding

EVENTS = 1_000_000
PAGE: Final = 50
_EVENTS_PER_TASK: Final = 4
_VOCABULARY: Final = 20_000
_TASKS_PER_APPEND: Final = 2_500
_TT: Final = ("-c", "from cli.start import main; main()")


def run(events: int, runs: int) -> Figures:
    """How long each kind of search takes, and what part of a scan that is; the index is made once."""
    with _town(events) as town:
        words = _words()
        rare, common, begun = words[_VOCABULARY // 2], words[1], words[2][:2]
        first = timed(lambda: _found(town, rare))
        works = {
            "a rare word": partial(_found, town, rare),
            "a common word": partial(_found, town, common),
            "two letters": partial(_found, town, begun),
            "two words": partial(_found, town, common, words[3]),
            "ever, filtered": partial(_found, town, common, wanted=TaskFilter(state=State.COMPLETED), is_ever=True),
        }
        timings = medians(runs, works)
        scan = timed(lambda: _found(town, common, is_indexed=False))
        listed, searched = (
            median([_command(town.folder, *words) for _ in range(runs)])
            for words in (("task", "list"), ("search", common))
        )
        cache = town.backend.cache
        assert isinstance(cache, Cache)
        figures: Figures = {
            "events": town.end().seq,
            "found of a common word": _found(town, common).total,
            "scan, s": scan.wall,
            "first search, s": first.wall,
            "first search / scan": first.wall / scan.wall,
            "index, bytes an event": (cache.look() or 0) / town.end().seq,
        }
        for name, timing in timings.items():
            figures |= {
                f"{name}, ms": timing.wall * 1_000,
                f"{name}, ms of CPU": timing.cpu * 1_000,
                f"{name} / scan": timing.wall / scan.wall,
            }
        return figures | {
            "tt search, ms": searched.wall * 1_000,
            "tt search, ms of CPU": searched.cpu * 1_000,
            "tt search / tt task list": searched.wall / listed.wall,
            "tt search / scan": searched.wall / scan.wall,
        }


def _found(
    town: Town, *words: str, wanted: TaskFilter | None = None, is_ever: bool = False, is_indexed: bool = True
) -> Found:
    kept = finding.INDEX_EVENTS_MIN
    # A small town is scanned in any case, and here the index is what is measured.
    finding.INDEX_EVENTS_MIN = 1 if is_indexed else sys.maxsize  # type: ignore[misc]
    try:
        return town.search(words, wanted or TaskFilter(), is_ever=is_ever, limit=PAGE)
    finally:
        finding.INDEX_EVENTS_MIN = kept  # type: ignore[misc]


def _command(folder: Path, *words: str) -> Timing:
    """A whole process of `tt WORDS`. Source: wait4."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *_TT, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Timing(time.perf_counter() - started, used.ru_utime + used.ru_stime)


@contextmanager
def _town(events: int) -> Iterator[Town]:
    import tempfile  # noqa: PLC0415 - as below

    with tempfile.TemporaryDirectory(prefix="tt-bench-") as name:
        folder = Path(name) / "town"
        folder.mkdir()
        home = os.environ.get("HOME")
        os.environ["HOME"] = name
        try:
            with Town.init(folder, name="bench", actor="bench", is_registered=False) as town:
                _fill(town.backend.store, events // _EVENTS_PER_TASK)
                town.upkeep.catch_up()
                yield town
        finally:
            EmbeddedServer(folder).stop()
            if home is not None:
                os.environ["HOME"] = home


def _words() -> list[str]:
    """Made-up words, all different: the first are meant to be frequent."""
    chosen = random.Random(1)
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    words: dict[str, None] = {}
    while len(words) < _VOCABULARY:
        words["".join(chosen.choice(consonants) + chosen.choice(vowels) for _ in range(chosen.randint(2, 4)))] = None
    return list(words)


def _fill(store: EventStore, tasks: int) -> None:
    chosen, words = random.Random(2), _words()
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))

    def text(length: int) -> str:
        return " ".join(chosen.choices(words, cum_weights=weights, k=length))

    for start in range(0, tasks, _TASKS_PER_APPEND):
        numbers = range(start, min(start + _TASKS_PER_APPEND, tasks))
        events = [
            NewEvent(task=task_name(number), version=version, actor="bench", command=f"c-{number}", data=fact)
            for number in numbers
            for version, fact in enumerate(_life(number, text), 1)
        ]
        store.append(events, {task_name(number): 0 for number in numbers})


def _life(number: int, text: Callable[[int], str]) -> list[Event]:
    rare = TaskNoted(text(20)) if number % 4 else TaskDescribed(text(7))
    return [
        TaskCreated(f"{text(7)}\n\n{text(15)}" if number % 3 == 0 else text(7), tags=(f"tag-{number % 7}",)),
        rare if number % 2 else TaskAssigned(f"worker-{number % 20}"),
        *([TaskAssigned("worker-1"), TaskStarted()] if number % 2 else [TaskStarted(), TaskCompleted(text(8))]),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
