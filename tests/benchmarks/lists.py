"""A page of a filtered list, where many match and where few do: `python -m tests.benchmarks.lists`.

A town of 1,000 tasks and one of so many as `--events` make; the same page of 50 of each, by each condition that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger import State
from projections import LiveBoard, Page, Projector, TaskFilter
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, Timing, a_bench, fill, medians
from tests.benchmarks.measure import main as measure

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
}


def run(events: int, runs: int) -> Figures:
    """How long a page takes in both towns, and how many times as long in the large one."""
    sizes = (SMALL_TOWN_TASKS, events // EVENTS_PER_TASK)
    small, large = (_timings(tasks, runs) for tasks in sizes)
    figures: Figures = {"tasks": sizes[1]}
    for name in FILTERS:
        figures[f"{name}, ms in {sizes[0]:,} tasks"] = small[name].wall * 1_000 / PAGES_IN_A_TURN
        figures[f"{name}, ms in {sizes[1]:,} tasks"] = large[name].wall * 1_000 / PAGES_IN_A_TURN
        figures[f"{name}, large / small"] = large[name].wall / small[name].wall
    return figures


def _timings(tasks: int, runs: int) -> dict[str, Timing]:
    with a_bench() as bench:
        fill(bench.store, tasks=tasks)
        Projector(bench.client, bench.keys).catch_up()
        board = LiveBoard(bench.client, bench.keys)
        return medians(runs, {name: partial(_pages, board, wanted) for name, wanted in FILTERS.items()})


def _pages(board: LiveBoard, wanted: TaskFilter) -> list[Page]:
    return [board.page(wanted, limit=PAGE) for _ in range(PAGES_IN_A_TURN)]


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
