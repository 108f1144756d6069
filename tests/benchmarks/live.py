"""Live projection on the durable server, in a worker's batches: `python -m tests.benchmarks.live`.

Twice: where a batch holds whole lives of a few tasks, and where each of its events is of another task, which is the most
work a batch can be.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections import BATCH_EVENTS_MAX, Projector
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, a_bench, fill, median, rates, timed
from tests.benchmarks.measure import main as measure

EVENTS = 200_000
TOGETHER = {"lives": 25, "spread": BATCH_EVENTS_MAX}


def run(events: int, runs: int) -> Figures:
    """Events a second for each shape of a batch."""
    tasks = events // EVENTS_PER_TASK
    figures: Figures = {"events": events, "batch": BATCH_EVENTS_MAX}
    for shape, together in TOGETHER.items():
        with a_bench() as bench:
            total = fill(bench.store, tasks=tasks, together=together)
            timings = []
            for _ in range(runs):
                bench.drop_projections()
                timings.append(timed(lambda: Projector(bench.client, bench.keys).catch_up()))
        timing = median(timings)
        figures |= rates(shape, timing, total)
        figures[f"{shape}, ms a batch"] = timing.wall / total * BATCH_EVENTS_MAX * 1_000
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
