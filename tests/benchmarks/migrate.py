"""Old tasks migrated, against as many created tasks appended and projected: `python -m tests.benchmarks.migrate`.

`--events` is how many tasks there are; each makes one event. Two thirds of the old ones are Hashes of the town and a third
JSON without a town. A migration looks at all of them and adopts them; `tt migrate` verifies the town too, which is timed
by itself. Memory is what a migration's process held more than one that does nothing, once with small records and once with
long ones: where it is bounded by batches, the second is larger by some batches, and not by all the records.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from ledger import NewEvent, TaskCreated, new_command_id
from projections import Projector
from tests.benchmarks.measure import Bench, Figures, a_bench, peak_kb, say_peak, task_name, timed
from tests.benchmarks.measure import main as measure
from tests.support import old_towns
from town import Town

TASKS = 100_000
TASKS_PER_APPEND = 2_500
LONG_CHARS = 2_000
_MODULE = "tests.benchmarks.migrate"


def run(tasks: int, runs: int) -> Figures:
    """Seconds of each, their ratios, and bytes of memory a task."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, seconds in _run_once(tasks).items():
            found.setdefault(name, []).append(seconds)
    figures = {name: statistics.median(each) for name, each in found.items()}
    created = figures["append and project created tasks, s"]
    migrated = figures["look, s"] + figures["adopt, s"]
    return (
        {"tasks": tasks}
        | figures
        | {
            "migrate / append and project": migrated / created,
            "migrate and verify / append and project": (migrated + figures["verify, s"]) / created,
        }
        | _memory(tasks)
    )


def _run_once(tasks: int) -> Figures:
    with a_bench() as bench:
        created = timed(lambda: _create(bench, tasks))
    with a_bench() as bench, Town.init(bench.folder, name=old_towns.TOWN, is_registered=False) as town:
        old_towns.fill_many(bench.client, tasks)
        with town.migration() as migration:
            looked = timed(migration.look)
            adopted = timed(migration.run)
        verified = timed(town.upkeep.verify)
        # Work that is not done takes no time.
        assert town.end().seq == town.page(limit=0).total == tasks
        assert town.upkeep.verify().findings == ()
    return {
        "append and project created tasks, s": created.wall,
        "look, s": looked.wall,
        "adopt, s": adopted.wall,
        "verify, s": verified.wall,
    }


def _create(bench: Bench, tasks: int) -> None:
    for start in range(0, tasks, TASKS_PER_APPEND):
        command = new_command_id()
        ids = [task_name(number) for number in range(start, min(start + TASKS_PER_APPEND, tasks))]
        facts = [
            TaskCreated(f"Implement feature {number} of the plan", tags=("backend",)) for number in range(len(ids))
        ]
        events = [
            NewEvent(task=task, version=1, actor="bench", command=command, data=fact)
            for task, fact in zip(ids, facts, strict=True)
        ]
        bench.store.append(events, dict.fromkeys(ids, 0))
    Projector(bench.client, bench.keys).catch_up()


def _memory(tasks: int) -> Figures:
    figures: Figures = {}
    for name, more in (("small", ""), ("long", "x" * LONG_CHARS)):
        with a_bench() as bench, Town.init(bench.folder, name=old_towns.TOWN, is_registered=False):
            old_towns.fill_many(bench.client, tasks, more=more)
            idle_kb, peak = peak_kb(_MODULE, "--idle", bench.folder), peak_kb(_MODULE, "--peak", bench.folder)
        figures[f"memory with {name} records, bytes a task"] = (peak - idle_kb) * 1_024 / tasks
    return figures


def _hold(folder: str, *, is_migrating: bool) -> None:
    """Migrate the town in `folder`, or do nothing, and print this process's peak memory."""
    with Town.open(folder, actor="bench", is_starting=False) as town, town.migration() as migration:
        if is_migrating:
            migration.look()
            migration.run()
    say_peak()


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] in (["--idle"], ["--peak"]):
        _hold(given[1], is_migrating=given[0] == "--peak")
        return
    measure(run, events=TASKS, arguments=given)


if __name__ == "__main__":
    main()
