"""Two moments a day apart, and one task's history, blame and why: `python -m tests.benchmarks.diff`.

A town of so many events as `--events` make, over 90 days; the events of its last whole day are read, and the two moments at
its ends compared. Once the tasks live for hours, so that few are older than the day, and once for days, so that many are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from random import Random
from typing import Final, NamedTuple

from ledger import Event, EventStore, NewEvent, Position, TaskAssigned, TaskCompleted, TaskCreated, TaskStarted
from ledger.blame import blame
from ledger.causes import causes
from ledger.changes import steps
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, a_bench, medians, task_name
from tests.benchmarks.measure import main as measure
from town.reading.difference import diff_between

EVENTS: Final = 1_000_000
SMALL_TOWN_EVENTS: Final = 1_000
DAYS: Final = 90
DAY_MS: Final = 24 * 60 * 60 * 1_000
FIRST_MS: Final = 1_790_000_000_000
LIVES_HOURS: Final = {"lives of hours": 2.0, "lives of days": 48.0}
"""How long a task lives on average, from its creation to its end."""
TASKS_ASKED: Final = 200
_TOGETHER: Final = 2_000


class _Fact(NamedTuple):
    """An event to be, in the order of time."""

    ms: int
    task: int
    version: int


def run(events: int, runs: int) -> Figures:
    figures: Figures = {}
    for name, hours in LIVES_HOURS.items():
        with a_bench() as small, a_bench() as large:
            fill_days(small.store, events=min(SMALL_TOWN_EVENTS, events), hours=hours)
            fill_days(large.store, events=events, hours=hours)
            figures |= {f"{name}: {figure}": value for figure, value in _day(large, runs).items()}
            figures |= {f"{name}: {figure}": value for figure, value in _tasks(small, large, events, runs).items()}
    return figures


def fill_days(store: EventStore, *, events: int, hours: float) -> None:
    """Append the lives of tasks that begin at any time of DAYS days, their events in the order of time, at those times."""
    facts = iter(sorted(_facts(events // EVENTS_PER_TASK, hours, Random(7))))
    while some := list(islice(facts, _TOGETHER)):
        # The events of an append have one time: that of its last.
        new = [
            NewEvent(
                task=task_name(fact.task),
                version=fact.version,
                actor="bench",
                command=f"c-{fact.task}-{fact.version}",
                data=_event(fact.task, fact.version),
            )
            for fact in some
        ]
        guards: dict[str, int] = {}
        for event in new:
            guards.setdefault(event.task, event.version - 1)
        store.append(new, guards, backdate_ms=some[-1].ms)


def _facts(tasks: int, hours: float, chance: Random) -> Iterator[_Fact]:
    for task in range(tasks):
        created = FIRST_MS + chance.random() * DAYS * DAY_MS
        life_ms = -math.log(1 - chance.random()) * hours * 60 * 60 * 1_000
        for version in range(1, EVENTS_PER_TASK + 1):
            yield _Fact(int(created + life_ms * (version - 1) / (EVENTS_PER_TASK - 1)), task, version)


def _event(task: int, version: int) -> Event:
    match version:
        case 1:
            return TaskCreated(f"Implement feature {task} of the plan", tags=("backend",))
        case 2:
            return TaskAssigned(f"worker-{task % 20}")
        case 3:
            return TaskStarted()
        case _:
            return TaskCompleted(result="Done, and all tests pass")


def _day(bench: Bench, runs: int) -> Figures:
    """Comparing the two ends of a whole day, against reading its events."""
    store = bench.store
    last_ms = FIRST_MS + (DAYS - 1) * DAY_MS
    since, until = store.end_at(last_ms - DAY_MS), store.end_at(last_ms)
    timings = medians(runs, {"read": partial(_read, store, since, until), "diff": partial(_diff, store, since, until)})
    read, diff = timings["read"], timings["diff"]
    found = diff_between(store, since, until)
    older = sum(each.before is not None for each in found.tasks)
    return {
        "events of the day": found.events,
        "tasks that differ": len(found.tasks),
        "of them older than the day": older,
        "read the day, ms": read.wall * 1_000,
        "diff, ms": diff.wall * 1_000,
        "diff / read": diff.wall / read.wall,
        "diff / read by CPU": diff.cpu / read.cpu,
    }


def _read(store: EventStore, since: Position, until: Position) -> int:
    return sum(len(batch) for batch in store.read_batches(since, upto=until))


def _diff(store: EventStore, since: Position, until: Position) -> int:
    return sum(bool(each.changes) for each in diff_between(store, since, until).tasks)


def _tasks(small: Bench, large: Bench, events: int, runs: int) -> Figures:
    """One task's history, blame and why in both towns."""
    works = {
        f"{name} {size}": partial(_ask, bench.store, count // EVENTS_PER_TASK, question)
        for size, bench, count in (("small", small, min(SMALL_TOWN_EVENTS, events)), ("large", large, events))
        for name, question in (("history", steps), ("blame", blame), ("why", causes))
    }
    timings = medians(runs, works)
    figures: Figures = {}
    for name in ("history", "blame", "why"):
        in_small, in_large = (timings[f"{name} {size}"].wall for size in ("small", "large"))
        figures |= {f"{name}, µs": in_large * 1e6 / TASKS_ASKED, f"{name}, large / small": in_large / in_small}
    return figures


def _ask(store: EventStore, tasks: int, question: object) -> None:
    assert callable(question)
    for number in range(TASKS_ASKED):
        question(store.history(task_name(number * 7 % tasks)))


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
