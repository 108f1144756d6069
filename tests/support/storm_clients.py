"""The clients of a storm: threads of every kind that use many towns until they are stopped, and write down what they were told.

Each has a chance of its own, from the storm's seed and its name, so that it wishes the same things in the same order each time.
What then happens is up to the machine.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from ledger import (
    CommandRejectedError,
    EventsLostError,
    LedgerDamagedError,
    LedgerError,
    Position,
    StoreUnavailableError,
    Task,
    WrongExpectedVersionError,
)
from projections import RebuildUnfinishedError, Snapshot, snapshot_of
from tests.support.records import Call, Outcome, Reading, Record, encode_record
from tests.support.tt import run_process
from tests.support.waiting import wait_until
from town import OvertakenError, Town
from town.folder.settings import read_settings
from town.worker import Worker, WorkerReport

AGENTS: Final = ("Ada Lovelace", "worker-1", "worker-2")
TAGS: Final = ("backend", "bug", "urgent")
PLANNED: Final = 3
"""How many tasks a plan has."""
_LOOK_SECONDS: Final = 0.02
_RESTS: Final = {"command": 4.0}
"""How many times as long as others a kind of client rests: a process costs as much as many calls."""
_TOWNS_OPEN_MAX: Final = 24
"""Of each client; each is a connection."""
_RECOVERIES_MAX: Final = 5
_STOP_SECONDS_MAX: Final = 3_600.0
_IN_THE_LEDGER: Final = re.compile(r"The command's events are in the ledger, up to (\d+-\d+)")
_EXITS: Final = {1: Outcome.REFUSED, 3: Outcome.REFUSED, 4: Outcome.UNKNOWN, 5: Outcome.UNKNOWN, 6: Outcome.UNKNOWN}

Answer = TypeVar("Answer")
Options = Mapping[str, Any]
_OPTIONS: Final[dict[str, Callable[[Random, list[str], str], Options]]] = {
    "start": lambda chance, _, __: {"agent": chance.choice((None, *AGENTS))},
    # By force: no guard holds children still, so a refusal for them could not be judged afterwards.
    "complete": lambda chance, _, mark: {
        "result": mark,
        "agent": chance.choice((None, *AGENTS)),
        "is_forced": True,
    },
    "fail": lambda chance, _, mark: {"error": mark, "agent": chance.choice((None, *AGENTS))},
    "cancel": lambda _, __, mark: {"reason": mark},
    "requeue": lambda *_: {},
    "reopen": lambda *_: {},
    "describe": lambda _, __, mark: {"description": f"as {mark} says"},
    "tag": lambda chance, _, __: dict(zip(("add", "remove"), ([tag] for tag in chance.sample(TAGS, 2)), strict=True)),
    "note": lambda _, __, mark: {"text": mark},
    "assign": lambda chance, _, __: {"agent": chance.choice(AGENTS)},
    "claim": lambda chance, _, __: {"agent": chance.choice(AGENTS)},
    "move": lambda chance, tasks, __: {"parent": chance.choice((None, *tasks))},
}
_WITHOUT_REASON: Final = ("cancel", "note")
"""The mark of these is in their own text."""
_EVERYWHERE: Final = ("create", "note", "note", *_OPTIONS)


class StormClient:
    """One client, on towns whose folders are `folders/NAME`. Its records go to a file; `stopped` says when to end."""

    def __init__(
        self,
        name: str,
        *,
        seed: str,
        folders: Path,
        log: Path,
        stopped: Callable[[], bool],
        pause_seconds_max: float,
    ) -> None:
        self.name = name
        self._chance = Random(f"{seed} {name}")
        self._folders = {folder.name: folder for folder in sorted(folders.iterdir())}
        self._stopped = stopped
        self._pause_seconds_max = pause_seconds_max * _RESTS.get(name.partition("-")[0], 1.0)
        self._log = log.open("wb", buffering=0)
        self._numbers = count(1)
        self._towns: dict[str, Town] = {}
        self._waiting = {name for name, folder in self._folders.items() if read_settings(folder).redis.replicas}
        self._tasks: dict[str, list[str]] = {}

    def run(self, act: Callable[[StormClient, str], None]) -> None:
        """Act on one town after the other until the storm is over."""
        names = list(self._folders)
        try:
            while not self._stopped():
                act(self, self._chance.choice(names))
                # So that the servers get their share of the machine; a cluster takes a slow node for a dead one.
                time.sleep(self._chance.random() * self._pause_seconds_max)
        finally:
            for town in self._towns.values():
                town.close()
            self._log.close()

    # --- what the kinds of clients do -------------------------------------------------------------------------------

    def write(self, name: str) -> None:
        """One verb on a task of the town, mostly without an expected version."""
        mark, verb = self._mark(), self._chance.choice(_EVERYWHERE)
        tasks = self._tasks.get(name) or [""]
        if verb == "create":
            self._call(name, mark, verb, lambda town: town.create(f"made by {mark}", reason=mark))
            return
        task, options = self._chance.choice(tasks), dict(_OPTIONS[verb](self._chance, tasks, mark))
        expected = self._chance.randint(1, 40) if self._chance.random() < 0.1 else None
        if not task:
            self.read(name)
            return
        reason = {} if verb in _WITHOUT_REASON else {"reason": mark}
        self._call(
            name,
            mark,
            verb,
            lambda town: getattr(town, verb)(task, **options, **reason, expected_version=expected),
            task=task,
            options=options,
            expected_version=expected,
        )

    def read(self, name: str) -> None:
        """A page of tasks, one task, or the whole board at an event."""
        self._ask(name, "read", partial(self._read, name))

    def _read(self, name: str, town: Town) -> None:
        began = time.monotonic()
        place: str | None = None
        match self._chance.randrange(3):
            case 0:
                place = str(town.end())
                tasks = list(town.replay(Position(place)).tasks.values())
            case 1 if self._tasks.get(name):
                tasks = [town.task(self._chance.choice(self._tasks[name]))]
            case _:
                tasks = list(town.page().tasks)
        seen: dict[str, Snapshot | None] = {task.id: snapshot_of(task) for task in tasks}
        self._write(
            Reading(client=self.name, town=name, began=began, ended=time.monotonic(), seen=seen, position=place)
        )
        if place is None and len(tasks) > 1:
            self._note_tasks(name, tasks)

    def rebuild(self, name: str) -> None:
        """Rebuild the town's snapshots and views. Another one may be at it."""
        self._ask(name, "rebuild", lambda town: town.upkeep.rebuild())

    def push(self, name: str) -> None:
        """Push a plan in which each task is described anew."""
        mark = self._mark()
        plan = self._folders[name] / f"plan-{self.name}.toml"
        lines = (f'[[tasks]]\nid = "planned-{n}"\ndescription = "{n} as {mark} says"\n' for n in range(PLANNED))
        plan.write_text("\n".join(lines), encoding="utf-8")

        def act(_: Town) -> Any:
            with Town.open(self._folders[name], actor=mark) as town:
                return town.plans.push(plan, force=True)

        self._call(name, mark, "push", act)

    def command(self, name: str) -> None:
        """One `tt` as a process."""
        mark, tasks = self._mark(), self._tasks.get(name)
        if not tasks:
            self.read(name)
            return
        task = self._chance.choice(tasks)
        words = self._chance.choice(
            [
                ["assign", self._chance.choice(AGENTS), f"made by {mark}"],
                ["task", "note", task, mark],
                ["task", "tag", task, "--add", self._chance.choice(TAGS)],
                ["task", "complete", task, "--force", "--agent", self._chance.choice(AGENTS)],
            ]
        )
        began = time.monotonic()
        ran = run_process(*words, "--actor", mark, "--json", folder=self._folders[name])
        if ran.code == 5 and "were acknowledged here" in ran.err:
            # Nothing was written.
            self._ask(name, "recover", lambda _: self._recover(name))
            return
        told = self._told(name, ran.err)
        outcome = Outcome.ACKNOWLEDGED if ran.code == 0 or told else _EXITS[ran.code]
        self._write(
            Call(
                mark=mark,
                client=self.name,
                town=name,
                verb=f"tt {' '.join(words[:2])}",
                began=began,
                ended=time.monotonic(),
                outcome=outcome,
                positions=tuple(json.loads(ran.out)["positions"]) if ran.code == 0 else (told[1],) if told else (),
                is_told_in_part=bool(told),
                error={4: "StoreUnavailableError", 5: "LedgerDamagedError", 6: "NotReplicatedError"}.get(ran.code),
                words=ran.err,
            )
        )

    def project(self, name: str) -> None:
        """Follow the town as a worker does, for a while."""
        end = threading.Event()
        problems: list[LedgerError] = []

        def report(told: WorkerReport) -> None:
            if isinstance(told.problem, LedgerDamagedError):
                problems.append(told.problem)

        worker = threading.Thread(target=Worker(self._folders[name], stop=end, report=report).run)
        began = time.monotonic()
        worker.start()
        deadline = began + self._chance.random()
        while time.monotonic() < deadline and not self._stopped():
            time.sleep(_LOOK_SECONDS)
        end.set()
        worker.join()
        for problem in problems:
            self._write_failure(name, self._mark(), "project", began, problem)

    def _told(self, name: str, words: str) -> re.Match[str] | None:
        """What an error says of events that are in the ledger. In a town that waits for replicas that is no acknowledgement."""
        return None if name in self._waiting else re.search(_IN_THE_LEDGER, words)

    # --- how it ended -------------------------------------------------------------------------------------------------

    def _call(self, name: str, mark: str, verb: str, act: Callable[[Town], Any], **fields: Any) -> None:
        """Do it, and write down what was told."""
        began = time.monotonic()
        try:
            receipt = self._insist(name, act)
        except LedgerError as error:
            self._write_failure(name, mark, verb, began, error, **fields)
            return
        task: Task | None = getattr(receipt, "task", None)
        given = fields | {"task": fields.get("task", "" if task is None else task.id)}
        self._write(
            Call(
                mark=mark,
                client=self.name,
                town=name,
                verb=verb,
                began=began,
                ended=time.monotonic(),
                outcome=Outcome.ACKNOWLEDGED,
                positions=tuple(map(str, receipt.positions)),
                snapshot=None if task is None else snapshot_of(task),
                **given,
            )
        )
        if verb == "create" and task is not None:
            self._tasks.setdefault(name, []).append(task.id)

    def _ask(self, name: str, verb: str, act: Callable[[Town], object]) -> None:
        """Do what writes no event. What fails is written down, unless it was refused: a task may be gone, a rebuild at work."""
        began = time.monotonic()
        try:
            self._insist(name, act)
        except CommandRejectedError:
            return
        except LedgerError as error:
            self._write_failure(name, self._mark(), verb, began, error)

    def _insist(self, name: str, act: Callable[[Town], Answer]) -> Answer:
        """What `act` returns. If events are gone that were acknowledged, they are recovered before, as a person would do it."""
        for _ in range(_RECOVERIES_MAX):
            try:
                return act(self._town(name))
            except EventsLostError:
                self._recover(name)
        return act(self._town(name))

    def _recover(self, name: str) -> None:
        recovery = self._town(name).recovery
        if recovery.recover().gap.remaining:
            recovery.accept_loss(name)

    def _write_failure(self, name: str, mark: str, verb: str, began: float, error: LedgerError, **fields: Any) -> None:
        ended = time.monotonic()
        told = self._told(name, str(error))
        refused = (CommandRejectedError, WrongExpectedVersionError)
        is_refused = isinstance(error, refused) or (isinstance(error, StoreUnavailableError) and error.has_refused)
        conflict = None
        if isinstance(error, WrongExpectedVersionError) and not isinstance(error, OvertakenError):
            conflict = (error.task_id, error.expected, error.actual)
        self._write(
            Call(
                mark=mark,
                client=self.name,
                town=name,
                verb=verb,
                began=began,
                ended=ended,
                outcome=Outcome.ACKNOWLEDGED if told else Outcome.REFUSED if is_refused else Outcome.UNKNOWN,
                positions=(told[1],) if told else (),
                is_told_in_part=told is not None,
                error=_kind_of(error),
                conflict=conflict,
                words=str(error),
                **fields,
            )
        )
        if not isinstance(error, refused):
            # As a new process would.
            with suppress(KeyError):
                self._towns.pop(name).close()

    def _town(self, name: str) -> Town:
        town = self._towns.get(name)
        if town is None:
            while len(self._towns) >= _TOWNS_OPEN_MAX:
                self._towns.pop(next(iter(self._towns))).close()
            town = self._towns[name] = Town.open(self._folders[name], actor=self.name)
        return town

    def _note_tasks(self, name: str, tasks: list[Task]) -> None:
        """The tasks that this client knows; the first ones, so that all clients use the same."""
        self._tasks[name] = [task.id for task in tasks[:4]] + [task.id for task in tasks[-2:]]

    def _mark(self) -> str:
        return f"{self.name}-{next(self._numbers)}"

    def _write(self, record: Record) -> None:
        self._log.write(encode_record(record))


KINDS: Final[dict[str, Callable[[StormClient, str], None]]] = {
    "library": StormClient.write,
    "reader": StormClient.read,
    "rebuilder": StormClient.rebuild,
    "pusher": StormClient.push,
    "command": StormClient.command,
    "projector": StormClient.project,
}


def storm(folders: str, seed: str, names: str, logs: str, stop: str, pause_seconds_max: str) -> None:
    """Clients, a thread each, until the file `stop` is there. `names` are KIND-NUMBER, with commas."""
    failures: list[BaseException] = []

    def stopped() -> bool:
        return bool(failures) or Path(stop).exists()

    def run(name: str) -> None:
        client = StormClient(
            name,
            seed=seed,
            folders=Path(folders),
            log=Path(logs) / name,
            stopped=stopped,
            pause_seconds_max=float(pause_seconds_max),
        )
        try:
            client.run(KINDS[name.partition("-")[0]])
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(name,)) for name in names.split(",")]
    for thread in threads:
        thread.start()
    wait_until(stopped, seconds_max=_STOP_SECONDS_MAX)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _kind_of(error: LedgerError) -> str:
    """The name that the checker looks for. A rebuild of another process is no damage."""
    if isinstance(error, LedgerDamagedError) and not isinstance(error, RebuildUnfinishedError):
        return "LedgerDamagedError"
    return "StoreUnavailableError" if isinstance(error, StoreUnavailableError) else type(error).__name__
