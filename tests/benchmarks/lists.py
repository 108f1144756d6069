"""A page of a filtered list, where many match and where few do: `python -m tests.benchmarks.lists`.

A town of 1,000 tasks and one of so many as `--events` make; the same page of 50 of each, by each condition and in each order
that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger import State
from projections import LiveBoard, Page, Projector, Sort, TaskFilter
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, a_bench, fill, medians
from tests.benchmarks.measure import main as measure
from tests.support.builders import START_MS

EVENTS = 400_000
PAGE: Final = 50
PAGES_IN_A_TURN: Final = 20
SMALL_TOWN_TASKS: Final = 1_000
FILTERS: Final = {
    "no condition": TaskFilter(),
    "state": TaskFilter(state=State.COMPLETED),
    "state, newest first": TaskFilter(state=State.COMPLETED, is_newest_first=True),
    "agent": TaskFilter(agent="worker-7"),
    "state and agent": TaskFilter(state=State.COMPLETED, agent="worker-7"),
    "tag": TaskFilter(tag="docs"),
    "state and tag": TaskFilter(state=State.COMPLETED, tag="docs"),
    "agent and tag": TaskFilter(agent="worker-7", tag="docs"),
    "two states and tag": TaskFilter(state=(State.COMPLETED, State.PENDING), tag="docs"),
    "not a tag": TaskFilter(not_tag="docs"),
    "sorted by state": TaskFilter(sort=Sort.STATE),
    "sorted by agent": TaskFilter(sort=Sort.AGENT),
    "sorted by change": TaskFilter(sort=Sort.UPDATED),
    "sorted by due time": TaskFilter(sort=Sort.DUE),
    "of a priority": TaskFilter(priority=(0,)),
    "overdue": TaskFilter(overdue_ms=START_MS),
}


def run(events: int, runs: int) -> Figures:
    """How long a page takes in both towns, and how many times as long in the large one; the towns take turns."""
    sizes = (SMALL_TOWN_TASKS, events // EVENTS_PER_TASK)
    with a_bench() as small, a_bench() as large:
        boards = [_board(bench, tasks) for bench, tasks in zip((small, large), sizes, strict=True)]
        works = {
            f"{name} {size}": partial(_pages, board, wanted)
            for name, wanted in FILTERS.items()
            for size, board in zip(("small", "large"), boards, strict=True)
        }
        timings = medians(runs, works)
    figures: Figures = {"tasks": sizes[1]}
    for name in FILTERS:
        in_small, in_large = (timings[f"{name} {size}"].wall * 1_000 / PAGES_IN_A_TURN for size in ("small", "large"))
        figures |= {f"{name}, ms": in_large, f"{name}, large / small": in_large / in_small}
    return figures


def _board(bench: Bench, tasks: int) -> LiveBoard:
    fill(bench.store, tasks=tasks)
    Projector(bench.client, bench.keys).catch_up()
    return LiveBoard(bench.client, bench.keys)


def _pages(board: LiveBoard, wanted: TaskFilter) -> list[Page]:
    return [board.page(wanted, limit=PAGE) for _ in range(PAGES_IN_A_TURN)]


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
