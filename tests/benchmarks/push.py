"""A plan of 10,000 tasks pushed, against appending the same events in batches: `python -m tests.benchmarks.push`.

A push reads the file, checks it, compares it with the town, appends in one piece and projects what it appended; `tt sync push`
also starts Python. Two comparisons are made: with the appends alone, and with the appends and their projection, since a
program that appends wants to read what it wrote. Each run begins with an empty town.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ledger import Event, NewEvent, new_command_id
from projections import Projector
from tests.benchmarks.measure import Bench, Figures, a_bench, timed
from tests.benchmarks.measure import main as measure
from town import Town
from town.plan_file import PLAN_FILE

EVENTS = 20_000
EVENTS_PER_PLANNED = 2
_BATCH_EVENTS = 5_000
_ROOT = Path(__file__).parents[2]


def run(events: int, runs: int) -> Figures:
    """Seconds of each, and their ratios."""
    tasks = events // EVENTS_PER_PLANNED
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, seconds in _run_once(tasks).items():
            found.setdefault(name, []).append(seconds)
    figures = {name: statistics.median(each) for name, each in found.items()}
    appended, readable = figures["append in batches, s"], figures["append in batches and project, s"]
    return (
        {"tasks": tasks, "events": tasks * EVENTS_PER_PLANNED}
        | figures
        | {
            "push / append": figures["push, s"] / appended,
            "push / append and project": figures["push, s"] / readable,
            "tt sync push / append": figures["tt sync push, s"] / appended,
            "tt sync push / append and project": figures["tt sync push, s"] / readable,
        }
    )


def _run_once(tasks: int) -> dict[str, float]:
    """The push of the library, then of the command, then its events in batches, each in a town of its own."""
    with a_bench() as bench, Town.init(bench.folder, name="plans", is_registered=False) as town:
        write_plan(bench.folder / PLAN_FILE, tasks)
        pushed = timed(town.push)
        lives = _lives(town)
    with a_bench() as bench, Town.init(bench.folder, name="plans", is_registered=False):
        write_plan(bench.folder / PLAN_FILE, tasks)
        command = timed(lambda: _run_command(bench.folder))
    with a_bench() as bench:
        started = time.perf_counter()
        _append(bench, lives)
        appended = time.perf_counter() - started
        Projector(bench.client, bench.keys).catch_up()
        readable = time.perf_counter() - started
    return {
        "append in batches, s": appended,
        "append in batches and project, s": readable,
        "push, s": pushed.wall,
        "tt sync push, s": command.wall,
    }


def write_plan(path: Path, tasks: int) -> None:
    """A plan of so many tasks, ten of them below each tenth."""
    blocks = [
        f'[[tasks]]\nid = "feature-{number}"\ndescription = "Implement feature {number} of the plan"\n'
        f'agent = "worker-{number % 20}"\nstatus = "pending"\ntags = ["backend", "P{number % 3}"]\n'
        + (f'parent = "feature-{number - number % 10}"\n' if number % 10 else "")
        for number in range(tasks)
    ]
    path.write_text("\n".join(['[meta]\ndescription = "A large plan"\n', *blocks]), encoding="utf-8")


def _lives(town: Town) -> list[tuple[str, list[Event]]]:
    """Task -> its events, as the push appended them."""
    lives: dict[str, list[Event]] = {}
    for recorded in town.events(count=None):
        lives.setdefault(recorded.task, []).append(recorded.data)
    return list(lives.items())


def _append(bench: Bench, lives: Sequence[tuple[str, list[Event]]]) -> None:
    batch = _BATCH_EVENTS // EVENTS_PER_PLANNED
    for start in range(0, len(lives), batch):
        command = new_command_id()
        events = [
            NewEvent(task=task, version=version, actor="bench", command=command, data=data)
            for task, facts in lives[start : start + batch]
            for version, data in enumerate(facts, 1)
        ]
        bench.store.append(events, {task: 0 for task, _ in lives[start : start + batch]})


def _run_command(folder: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "sync", "push", "--town", str(folder), "--actor", "bench"]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
