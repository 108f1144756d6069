"""What can be worked on now, and what the end of a blocker costs: `python -m tests.benchmarks.ready`.

A town of 1,000 tasks and one of so many as `--events` make, with the same share of open tasks, of which most need others: the
first tasks that can be begun of both. And in the large one, a task that 1,000 others wait for is completed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger import (
    Event,
    EventStore,
    LinkKind,
    NewEvent,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskLinked,
    TaskReopened,
    TaskStarted,
)
from projections import LiveBoard, Projector, ReadyFilter, ReadyPage
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, a_bench, fill, medians, task_name, timed
from tests.benchmarks.measure import main as measure

EVENTS = 1_000_000
LIMIT: Final = 20
PAGES_IN_A_TURN: Final = 50
SMALL_TOWN_TASKS: Final = 1_000
OPEN_EACH: Final = 12.5
"""One task in so many is open: 20,000 of 250,000."""
WAITING_SHARE: Final = 0.75
NEEDS_EACH: Final = 2
"""Three quarters of the open tasks need two others: 30,000 needs of 20,000 open tasks."""
DEPENDENTS: Final = 1_000
_TASKS_PER_APPEND: Final = 2_000


def run(events: int, runs: int) -> Figures:
    """How long a page takes in both towns, and what the server does when a task that many wait for is completed."""
    sizes = (SMALL_TOWN_TASKS, events // EVENTS_PER_TASK)
    with a_bench() as small, a_bench() as large:
        boards = [_board(bench, tasks) for bench, tasks in zip((small, large), sizes, strict=True)]
        works = {name: partial(_pages, board) for name, board in zip(("small", "large"), boards, strict=True)}
        timings = medians(runs, works)
        in_small, in_large = (timings[name].wall * 1_000 / PAGES_IN_A_TURN for name in ("small", "large"))
        unblocked = _unblock(large, sizes[1], runs)
    return {
        "tasks": sizes[1],
        "open": sizes[1] // OPEN_EACH,
        f"{LIMIT} ready, ms": in_large,
        f"{LIMIT} ready, large / small": in_large / in_small,
    } | unblocked


def _board(bench: Bench, tasks: int) -> LiveBoard:
    opened = int(tasks // OPEN_EACH)
    fill(bench.store, tasks=tasks - opened)
    _fill_open(bench.store, first=tasks - opened, count=opened)
    Projector(bench.client, bench.keys).catch_up()
    return LiveBoard(bench.client, bench.keys)


def _fill_open(store: EventStore, *, first: int, count: int) -> None:
    """Pending tasks; the later ones need tasks that came a quarter before them."""
    free = int(count * (1 - WAITING_SHARE))
    for start in range(0, count, _TASKS_PER_APPEND):
        events: list[NewEvent] = []
        for number in range(start, min(start + _TASKS_PER_APPEND, count)):
            facts: list[Event] = [TaskCreated(f"Implement feature {number}", tags=("open",))]
            if number >= free:
                needed = (number - free, number - free + 1)[:NEEDS_EACH]
                facts += [TaskLinked(LinkKind.NEEDS, task_name(first + each)) for each in needed if each != number]
            events += _events_of(first + number, facts)
        store.append(events, {event.task: 0 for event in events})


def _events_of(number: int, facts: Sequence[Event], *, after: int = 0) -> list[NewEvent]:
    return [
        NewEvent(task=task_name(number), version=version, actor="bench", command=f"c-{number}", data=fact)
        for version, fact in enumerate(facts, after + 1)
    ]


def _unblock(bench: Bench, tasks: int, runs: int) -> Figures:
    """Complete a task that DEPENDENTS others need, again and again: the server's time for the commit, and the clock's."""
    blocker, version = tasks, 3
    store, projector = bench.store, Projector(bench.client, bench.keys)
    store.append(_events_of(blocker, [TaskCreated("x"), TaskAssigned("ada"), TaskStarted()]), {task_name(blocker): 0})
    facts = [TaskCreated("y"), TaskLinked(LinkKind.NEEDS, task_name(blocker))]
    waiting = [each for number in range(DEPENDENTS) for each in _events_of(blocker + 1 + number, facts)]
    store.append(waiting, {event.task: 0 for event in waiting})
    projector.catch_up()
    server, clock = [], []
    for _ in range(max(runs, 3)):
        store.append(_events_of(blocker, [TaskCompleted()], after=version), {task_name(blocker): version})
        before = bench.server_cpu()
        clock.append(timed(projector.project_batch).wall)
        server.append(bench.server_cpu() - before)
        again = [TaskReopened(), TaskAssigned("ada"), TaskStarted()]
        store.append(_events_of(blocker, again, after=version + 1), {task_name(blocker): version + 1})
        version += 1 + len(again)
        projector.catch_up()
    return {
        f"unblock {DEPENDENTS:,}, server ms": statistics.median(server) * 1_000,
        f"unblock {DEPENDENTS:,}, ms": statistics.median(clock) * 1_000,
    }


def _pages(board: LiveBoard) -> list[ReadyPage]:
    return [board.ready(ReadyFilter(), limit=LIMIT) for _ in range(PAGES_IN_A_TURN)]


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
