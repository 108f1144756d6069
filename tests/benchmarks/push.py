"""A plan of 10,000 tasks pushed, against appending the same events in batches: `python -m tests.benchmarks.push`.

A push reads the file, checks it, compares it with the town, appends in one piece and projects what it appended. Like is
compared with like: the command `tt sync push` with a program in Python that makes the same events and appends them in
batches, both whole processes; and `Town.push` with the appends inside of a process, alone, and with their projection, since
who appends wants to read what was written. Each run begins with an empty town.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ledger import (
    Event,
    EventStore,
    Keys,
    NewEvent,
    Source,
    TaskAssigned,
    TaskCreated,
    new_command_id,
    task_id_of_alias,
)
from projections import Projector
from tests.benchmarks.measure import TOWN, Figures, a_bench, connect, timed
from tests.benchmarks.measure import main as measure
from town import Town
from town.folder.settings import SOCKET_FILE
from town.plans.file import PLAN_FILE

EVENTS = 20_000
EVENTS_PER_PLANNED = 2
PROGRAM = "--append"
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
            "tt sync push / appending program": figures["tt sync push, s"] / figures["appending program, s"],
            "tt sync push / append": figures["tt sync push, s"] / appended,
        }
    )


def _run_once(tasks: int) -> dict[str, float]:
    """The push of the library, then of the command, then its events in batches, each in a town of its own."""
    with a_bench() as bench, Town.init(bench.folder, name="plans", is_registered=False) as town:
        write_plan(bench.folder / PLAN_FILE, tasks)
        pushed = timed(town.plans.push)
        lives = _lives(town)
    with a_bench() as bench, Town.init(bench.folder, name="plans", is_registered=False):
        write_plan(bench.folder / PLAN_FILE, tasks)
        command = timed(lambda: _run("cli.main", "sync", "push", "--town", bench.folder, "--actor", "bench"))
    with a_bench() as bench:
        program = timed(lambda: _run("tests.benchmarks.push", PROGRAM, bench.folder, tasks))
        assert bench.store.end().seq == tasks * EVENTS_PER_PLANNED
    with a_bench() as bench:
        started = time.perf_counter()
        _append(bench.store, lives)
        appended = time.perf_counter() - started
        Projector(bench.client, bench.keys).catch_up()
        readable = time.perf_counter() - started
    return {
        "append in batches, s": appended,
        "append in batches and project, s": readable,
        "push, s": pushed.wall,
        "appending program, s": program.wall,
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
    for recorded in town.events.last(count=None):
        lives.setdefault(recorded.task, []).append(recorded.data)
    return list(lives.items())


def _append(store: EventStore, lives: Sequence[tuple[str, list[Event]]]) -> None:
    batch = _BATCH_EVENTS // EVENTS_PER_PLANNED
    for start in range(0, len(lives), batch):
        command = new_command_id()
        events = [
            NewEvent(task=task, version=version, actor="bench", command=command, data=data)
            for task, facts in lives[start : start + batch]
            for version, data in enumerate(facts, 1)
        ]
        store.append(events, {task: 0 for task, _ in lives[start : start + batch]})


def _append_as_a_program(folder: str, tasks: int) -> None:
    """Make the events that a push of the plan would make, and append them in batches: all that a plain program needs."""
    ids = [task_id_of_alias("plans", f"feature-{number}") for number in range(tasks)]
    lives: list[tuple[str, list[Event]]] = []
    for number, task in enumerate(ids):
        created = TaskCreated(
            f"Implement feature {number} of the plan",
            tags=("P" + str(number % 3), "backend"),
            parent_id=ids[number - number % 10] if number % 10 else None,
            alias=f"feature-{number}",
            source=Source.PLAN,
        )
        lives.append((task, [created, TaskAssigned(f"worker-{number % 20}")]))
    _append(EventStore(connect(Path(folder) / SOCKET_FILE), Keys(TOWN)), lives)


def _run(module: str, *arguments: object) -> None:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == [PROGRAM]:
        _append_as_a_program(given[1], int(given[2]))
        return
    measure(run, events=EVENTS, arguments=given)


if __name__ == "__main__":
    main()
