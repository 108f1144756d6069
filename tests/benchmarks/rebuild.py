"""A rebuild from nothing but the ledger, against folding it: `python -m tests.benchmarks.rebuild`.

Snapshots, views and checkpoints are deleted before each rebuild. Memory is the peak of a process that rebuilds, beyond
that of one that imports everything and does nothing.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from ledger import EventStore, Keys
from projections import Rebuild, replay
from projections.rebuilding.rebuild import RebuildReport
from tests.benchmarks.measure import (
    EVENTS_PER_TASK,
    TOWN,
    Bench,
    Figures,
    a_bench,
    connect,
    fill,
    median,
    peak_kb,
    rates,
    say_peak,
    timed,
)
from tests.benchmarks.measure import main as measure
from town.folder.settings import SOCKET_FILE

EVENTS = 1_000_000
_MODULE = "tests.benchmarks.rebuild"


def rebuild(bench: Bench) -> RebuildReport:
    return Rebuild(bench.client, bench.keys, holder="bench").run()


def run(events: int, runs: int) -> Figures:
    """Times of fold and rebuild, their ratio, and the rebuild's memory for each task."""
    tasks = events // EVENTS_PER_TASK
    folds, rebuilds, reports, served = [], [], [], []
    with a_bench() as bench:
        total = fill(bench.store, tasks=tasks)
        for _ in range(runs):
            folds.append(timed(lambda: replay(bench.store)))
            bench.drop_projections()
            before = bench.server_cpu()
            rebuilds.append(timed(lambda: reports.append(rebuild(bench))))
            served.append(bench.server_cpu() - before)
        # Once more where everything is as it should be already: what an online rebuild mostly meets.
        unchanged = timed(lambda: rebuild(bench))
        bench.drop_projections()
        socket = bench.folder / SOCKET_FILE
        idle_kb, peak = peak_kb(_MODULE, "--idle", socket), peak_kb(_MODULE, "--peak", socket)
    fold, built, server_cpu = median(folds), median(rebuilds), statistics.median(served)
    return (
        {"events": total, "tasks": tasks}
        | rates("fold", fold, total)
        | rates("rebuild", built, total)
        | {
            "fold, s": fold.wall,
            "rebuild, s": built.wall,
            "of it folding, s": sorted(report.fold_seconds for report in reports)[runs // 2],
            "of it writing, s": sorted(report.write_seconds for report in reports)[runs // 2],
            "rebuild / fold": built.wall / fold.wall,
            "rebuild / fold by CPU": built.cpu / fold.cpu,
            "CPU of the rebuild, s": built.cpu,
            "CPU of the server meanwhile, s": server_cpu,
            # What it would take if nobody ever waited for anybody.
            "both spread evenly over two cores / fold": (built.cpu + server_cpu) / 2 / fold.wall,
            "rebuild without a difference / fold": unchanged.wall / fold.wall,
            "memory, bytes a task": (peak - idle_kb) * 1_024 / tasks,
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] in (["--idle"], ["--peak"]):
        client, keys = connect(given[1]), Keys(TOWN)
        EventStore(client, keys).end()
        if given[0] == "--peak":
            Rebuild(client, keys, holder="bench").run()
        say_peak()
        return
    measure(run, events=EVENTS, arguments=given)


if __name__ == "__main__":
    main()
