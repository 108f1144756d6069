"""What the processes of `tests.support.processes` do. Each waits at the line first: `python -m tests.support.workers`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Final

from ledger import (
    CommandRejectedError,
    Event,
    NewEvent,
    StoreUnavailableError,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskStarted,
    WrongExpectedVersionError,
    new_command_id,
    new_task_id,
)
from projections import replay, snapshot_of
from tests.support.outcomes import Outcome, encode_outcome
from tests.support.processes import READY
from town import Receipt, Town
from town.reading import folding

AGENTS: Final = ("Ada Lovelace", "worker-1", "worker-2", "worker-3")
RESULTS: Final = (None, "Fixed the bug", "Es läuft ✅")
TAGS: Final = ("backend", "bug", "urgent")
DESCRIPTIONS: Final = ("Implement user authentication", "Write the docs", "Measure it")
REOPEN_ATTEMPTS_MAX: Final = 50


def create_one(folder: str, number: str) -> None:
    """Open the town and create one task."""
    with Town.open(folder, actor=f"starter-{number}") as town:
        town.create(f"task {number}")


def append_alone(folder: str, writer: str, count: str) -> None:
    """Append `count` short lives of tasks past the commands, so that this process projects nothing."""
    with Town.open(folder, actor=writer) as town:
        for _ in range(int(count)):
            task, command = new_task_id(), new_command_id()
            facts: list[Event] = [
                TaskCreated("a", tags=TAGS),
                TaskAssigned(writer),
                TaskStarted(),
                TaskCompleted("done"),
            ]
            events = [
                NewEvent(task=task, version=version, actor=writer, command=command, data=data)
                for version, data in enumerate(facts, 1)
            ]
            town.backend.store.append(events, {task: 0})


def write_until_stopped(folder: str, writer: str, acknowledged: str, stop: str) -> None:
    """Create tasks and note on them until the file `stop` is there; each acknowledged position and text is written down.

    When the server is killed, the next command opens the town again, which starts it.
    """
    with Path(acknowledged).open("a", encoding="utf-8", buffering=1) as log:
        number = 0
        town = Town.open(folder, actor=writer)
        while not Path(stop).exists():
            number += 1
            text = f"{writer} {number}"
            try:
                receipt = town.create(text)
                log.write(f"{receipt.positions[0]}\t{text}\n")
                note = town.note(receipt.task.id, f"{text} noted")
                log.write(f"{note.positions[0]}\t{text} noted\n")
            except StoreUnavailableError:
                town.close()
                town = _reopen(folder, writer)
        town.close()


def _reopen(folder: str, writer: str) -> Town:
    for _ in range(REOPEN_ATTEMPTS_MAX):
        try:
            return Town.open(folder, actor=writer)
        except StoreUnavailableError as error:
            refusal = error
    raise refusal


def command_shared_tasks(folder: str, writer: str, seed: str, count: str, tasks: str, outcomes: str) -> None:
    """Issue `count` random commands on the shared tasks and write down how each ended."""
    chance = Random(int(seed))
    shared = tasks.split(",")
    with Path(outcomes).open("wb") as log, Town.open(folder, actor=writer) as town:
        log.writelines(encode_outcome(_command_one(town, chance, shared)) for _ in range(int(count)))


def link_shared_tasks(folder: str, writer: str, seed: str, count: str, tasks: str) -> None:
    """Tie `count` times one of the shared tasks to others, or make a new one that is; what is refused is left."""
    chance = Random(int(seed))
    shared = tasks.split(",")
    with Town.open(folder, actor=writer) as town:
        for _ in range(int(count)):
            task, other, third = chance.sample(shared, 3)
            with suppress(CommandRejectedError, WrongExpectedVersionError):
                match chance.randrange(8):
                    case 0:
                        town.unlink(task, [other])
                    case 1:
                        town.move(task, None)
                    case 2 | 3:
                        town.move(task, other)
                    case 4:
                        town.create("below", parent=task, needs=[other, third])
                    case _:
                        town.link(task, [other])


def push_plan(folder: str, writer: str) -> None:
    """Push the plan in the town's folder."""
    with Town.open(folder, actor=writer) as town:
        town.plans.push()


def _command_one(town: Town, chance: Random, shared: list[str]) -> Outcome:
    verb = chance.choice(tuple(_OPTIONS))
    task, options = chance.choice(shared), _OPTIONS[verb](chance, shared)
    seq_before = town.end().seq
    expected_version = _choose_version(town, chance, task)
    receipt: Receipt | None = None
    refusal: CommandRejectedError | WrongExpectedVersionError | None = None
    try:
        receipt = getattr(town, verb)(task, **options, expected_version=expected_version)
    except (CommandRejectedError, WrongExpectedVersionError) as error:
        refusal = error
    return Outcome(
        writer=town.actor,
        verb=verb,
        task=task,
        options=dict(options),
        expected_version=expected_version,
        seq_before=seq_before,
        seq_after=town.end().seq,
        positions=() if receipt is None else tuple(map(str, receipt.positions)),
        snapshot=None if receipt is None else snapshot_of(receipt.task),
        error=None if refusal is None else type(refusal).__name__,
        conflict=(refusal.task_id, refusal.expected, refusal.actual)
        if isinstance(refusal, WrongExpectedVersionError)
        else None,
    )


def _choose_version(town: Town, chance: Random, task: str) -> int | None:
    """Mostly none; else the task's version as this writer last saw it, now and then an older one."""
    if chance.random() < 0.7:
        return None
    return max(1, town.task(task).version - chance.choice((0, 0, 0, 1)))


Options = Mapping[str, Any]
_OPTIONS: Final[dict[str, Callable[[Random, list[str]], Options]]] = {
    "start": lambda chance, _: {"agent": chance.choice((None, *AGENTS))},
    # By force: no guard holds children still, so a refusal for them could not be judged afterwards.
    "complete": lambda chance, _: {
        "result": chance.choice(RESULTS),
        "agent": chance.choice((None, *AGENTS)),
        "is_forced": True,
    },
    "fail": lambda chance, _: {"error": chance.choice(RESULTS), "agent": chance.choice((None, *AGENTS))},
    "cancel": lambda chance, _: {"reason": chance.choice(RESULTS)},
    "requeue": lambda _, __: {},
    "reopen": lambda _, __: {},
    "describe": lambda chance, _: {"description": chance.choice(DESCRIPTIONS)},
    "tag": lambda chance, _: dict(zip(("add", "remove"), ([tag] for tag in chance.sample(TAGS, 2)), strict=True)),
    "note": lambda chance, _: {"text": f"note {chance.random()}"},
    "assign": lambda chance, _: {"agent": chance.choice(AGENTS)},
    "claim": lambda chance, _: {"agent": chance.choice(AGENTS)},
    "move": lambda chance, shared: {"parent": chance.choice((None, *shared))},
}


def look_back(folder: str, seed: str) -> None:
    """Look at many moments, each of which may be kept, and compare with a replay."""
    folding.FOLDED_EVENTS_MAX = folding.KEPT_EVENTS_MIN = 10  # type: ignore[misc]
    chance = Random(int(seed))
    with Town.open(folder) as town:
        store = town.backend.store
        for _ in range(25):
            position = store.position_of(chance.randrange(1, town.end().seq + 1))
            assert position is not None
            assert town.replay(position).tasks == replay(store, upto=position).tasks


_HERE: Final[tuple[Callable[..., None], ...]] = (
    append_alone,
    command_shared_tasks,
    create_one,
    link_shared_tasks,
    look_back,
    push_plan,
    write_until_stopped,
)
_ELSEWHERE: Final = {
    "project": "project_workers",
    "project_until_stopped": "project_workers",
    "read_known": "rebuild_workers",
    "reclaim_one": "runners",
    "storm": "storm_clients",
    "time_commands": "rebuild_workers",
    "work_in_threads": "runners",
    "write_and_reopen": "reopeners",
}
"""Modules beside this one. Each process loads the one it needs: all together cost more than the work of most."""


def _find(name: str) -> Callable[..., None]:
    if name not in _ELSEWHERE:
        return next(work for work in _HERE if work.__name__ == name)
    work: Callable[..., None] = getattr(import_module(f"tests.support.{_ELSEWHERE[name]}"), name)
    return work


if __name__ == "__main__":
    chosen = _find(sys.argv[1])
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    chosen(*sys.argv[2:])
