"""Appending one command against a bare XADD, and histories in a small and a large town: `python -m tests.benchmarks.append`.

`--events` is the size of the large town; each figure is the median of that many single calls as `CALLS` says.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from ledger import EventStore, Keys, NewEvent, TaskCreated, new_command_id, new_task_id
from ledger.recorded_event import encode_event
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, Work, a_bench, fill, task_name
from tests.benchmarks.measure import main as measure
from town import Town

EVENTS = 400_000
SMALL_TASKS = 1_000
CALLS = 1_000


def run(events: int, runs: int) -> Figures:
    """Microseconds of a call: appended, added bare, a whole command with its projection, and a history."""
    calls = min(CALLS, events)
    tasks = events // EVENTS_PER_TASK
    with a_bench() as bench:
        added, appended = in_turns(runs * calls, lambda: add_bare(bench), lambda: append_one(bench))
        with Town.init(bench.folder, name="commands", is_registered=False) as town:
            bare = EventStore(town.backend.client, Keys("bare"))
            plain, commanded = in_turns(
                runs * calls,
                lambda: append_to(bare),
                lambda: town.create("Implement user authentication", tags=["backend"]),
            )
            task = town.create("Implement user authentication").task.id
            noted = statistics.median(microseconds(lambda: town.note(task, "Measure it")) for _ in range(calls))
    figures = {
        "bare XADD, µs": added,
        "append, µs": appended,
        "append / bare XADD": appended / added,
        "append by a town's client, µs": plain,
        "create, projected, µs": commanded,
        "create / append": commanded / plain,
        "note, projected, µs": noted,
    }
    for size in (min(SMALL_TASKS, tasks), tasks):
        with a_bench() as bench:
            fill(bench.store, tasks=size)
            chosen = range(0, size, max(size // calls, 1))
            figures[f"history in {size:,} tasks, µs"] = statistics.median(
                microseconds(lambda number=number: bench.store.history(task_name(number)))  # type: ignore[misc]  # bound per turn
                for number in chosen
            )
    return figures


def append_one(bench: Bench) -> None:
    append_to(bench.store)


def append_to(store: EventStore) -> None:
    event = an_event()
    store.append([event], {event.task: 0})


def add_bare(bench: Bench) -> None:
    """The same event, encoded and added to a stream that nobody else uses."""
    bench.client.xadd("bare", {"event": encode_event(an_event())})


def an_event() -> NewEvent:
    data = TaskCreated("Implement user authentication", tags=("backend",))
    return NewEvent(task=new_task_id(), version=1, actor="bench", command=new_command_id(), data=data)


def in_turns(calls: int, first: Work, second: Work) -> tuple[float, float]:
    """The medians of both, called in turn."""
    pairs = [(microseconds(first), microseconds(second)) for _ in range(calls)]
    return statistics.median(each for each, _ in pairs), statistics.median(each for _, each in pairs)


def microseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
