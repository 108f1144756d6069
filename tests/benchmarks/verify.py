"""Verifying a whole town against folding it: `python -m tests.benchmarks.verify`.

The town has four events of each task, and is projected. `verify` reads the ledger, and compares heads, checkpoints,
snapshots and views with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections import Projector, replay, verify
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, a_bench, fill, medians, rates
from tests.benchmarks.measure import main as measure

EVENTS = 1_000_000


def run(events: int, runs: int) -> Figures:
    """Rates of both, and their ratio."""
    tasks = events // EVENTS_PER_TASK
    with a_bench() as bench:
        total = fill(bench.store, tasks=tasks)
        Projector(bench.client, bench.keys).catch_up()
        found = medians(
            runs,
            {"fold": lambda: replay(bench.store), "verify": lambda: verify(bench.client, bench.keys)},
        )
        assert not verify(bench.client, bench.keys).findings
    fold, verified = found["fold"], found["verify"]
    return (
        {"events": total, "tasks": tasks}
        | rates("fold", fold, total)
        | rates("verify", verified, total)
        | {"verify / fold": verified.wall / fold.wall, "verify / fold by CPU": verified.cpu / fold.cpu}
    )


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
