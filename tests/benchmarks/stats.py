"""A report of a town against folding it, and of its last tenth against that: `python -m tests.benchmarks.stats`.

The town has four events of each task. The tasks of the last tenth are its own, but for one in ten, which is older.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger import BEGINNING, EventStore, NewEvent, Position, TaskNoted
from projections import Activity, count_activity, replay
from projections import Figures as Counted
from projections.views.throughput import day_of
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, a_bench, fill, medians, task_name
from tests.benchmarks.measure import main as measure

EVENTS = 1_000_000
PART: Final = 10
"""The period is one in so many events, and one in so many of its tasks is older."""


def run(events: int, runs: int) -> Figures:
    """How long a report of all events takes, and one of the last tenth."""
    tasks = events // EVENTS_PER_TASK
    later = max(tasks // PART, 1)
    with a_bench() as bench:
        fill(bench.store, tasks=tasks - later)
        after = bench.store.end()
        _touch(bench.store, numbers=range(0, tasks - later, PART * PART))
        fill(bench.store, tasks=later, first=tasks - later)
        end = bench.store.end()
        works = {
            "fold": lambda: replay(bench.store),
            "all": lambda: _count(bench.store, BEGINNING, end),
            "period": lambda: _count(bench.store, after, end),
        }
        timings = medians(runs, works)
    return {
        "events": end.seq,
        "events of the period": end.seq - after.seq,
        **{f"{name}, s": timing.wall for name, timing in timings.items()},
        "all / fold": timings["all"].wall / timings["fold"].wall,
        "all / fold by CPU": timings["all"].cpu / timings["fold"].cpu,
        "period / all": timings["period"].wall / timings["all"].wall,
    }


def _touch(store: EventStore, *, numbers: range) -> None:
    """Append an event of each of these tasks, which are older than the period."""
    events = [
        NewEvent(
            task=task_name(number),
            version=EVENTS_PER_TASK + 1,
            actor="bench",
            command=f"n-{number}",
            data=TaskNoted("Checked again"),
        )
        for number in numbers
    ]
    store.append(events, {event.task: EVENTS_PER_TASK for event in events})


def _count(store: EventStore, after: Position, upto: Position) -> Counted:
    activity = Activity(day_of=day_of)
    count_activity(store, activity, after=after, upto=upto)
    return activity.total()


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
