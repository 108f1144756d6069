"""Runner: an agent's loop. It takes a task, runs a program for it, and goes on to the next, until a stop.

An idle runner waits for the ledger's events. docs/decisions/0012 explains how it takes and keeps a task.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger import LedgerError, Position, StoreUnavailableError, check_name, check_tag
from projections import each_of
from town.agents.claim import Claimer
from town.agents.lifeline import Lifeline
from town.agents.program import GRACE_SECONDS, Ending, EndReason
from town.agents.run import SERVER_WAIT_SECONDS, Instructions, Run, RunListener, RunReport
from town.agents.workplace import Workplace, opened_workplace
from town.errors import ProgramNotFoundError, RunUnfinishedError
from town.reading.names import Names
from town.runs.heartbeat import Heartbeat
from town.runs.run_mark import new_mark

IDLE_BLOCK_MS: Final = 300
"""How long an idle runner waits for events before it checks for a stop."""
BEGUN_MS: Final = 1_000
"""How long after its time came an idle runner still looks for a task again."""
IDLE_LOOK_SECONDS: Final = 60.0
"""After so long an idle runner looks in any case: its clock stands still while the machine sleeps, and the server's may be set."""


class Stop:
    """Tells a runner to stop. After a second stop the runner no longer waits for its program."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.is_urgent = threading.Event()

    def ask(self) -> None:
        (self.is_urgent if self.is_asked.is_set() else self.is_asked).set()


class Runner:
    """Works on the tasks of `agent` in the town at `path`, with `command` as its program and the agent as the actor.

    `roles` are tags: the runner takes tasks of the backlog that have one of them, or any task if there are no roles.
    `stop` asks the current program to end within `grace_seconds`. The runner sets no signal handlers; the caller does.
    """

    def __init__(
        self,
        path: Path | str | None,
        agent: str,
        command: Sequence[str],
        *,
        roles: Sequence[str] = (),
        actor: str | None = None,
        stop: Stop | None = None,
        grace_seconds: float = GRACE_SECONDS,
        listener: RunListener | None = None,
    ) -> None:
        assert command, "a program has a name"
        agent = check_name(agent, "agent name")
        self._path = path
        self._actor = agent if actor is None else actor
        self._stop = Stop() if stop is None else stop
        self._claimer = Claimer(agent, tuple(dict.fromkeys(check_tag(role) for role in each_of(roles))))
        ending = Ending(
            why=lambda: EndReason.STOPPED if self._stop.is_asked.is_set() else None,
            is_urgent=self._stop.is_urgent.is_set,
            grace_seconds=grace_seconds,
        )
        self._instructions = Instructions(
            agent, each_of(command), ending, RunListener() if listener is None else listener
        )

    def run(self, *, once: bool = False) -> RunReport | None:
        """Work until `stop` is set; with `once`, on one task. Returns the last run's report, None without a run.

        ProgramNotFoundError: no task was touched. ProgramNotStartedError, RunUnfinishedError: about the current task.
        """
        program = self._instructions.command[0]
        if shutil.which(program) is None:
            raise ProgramNotFoundError(program)
        if self._stop.is_asked.is_set():
            return None
        with Lifeline() as lifeline:
            with opened_workplace(self._path, actor=self._actor, warn=self._instructions.listener.warn) as town:
                folder = town.folder
                self._introduce(town)
                if once:
                    return self._work_once(town, lifeline)[0]
            return self._run(folder, lifeline)

    def _introduce(self, town: Workplace) -> None:
        """Tell the listener if the town does not know the agent."""
        with suppress(LedgerError):
            for agent in Names(town.backend, town.reader).unknown(agent=self._instructions.agent):
                self._instructions.listener.meet(agent)

    def _run(self, folder: Path, lifeline: Lifeline) -> RunReport | None:
        last: RunReport | None = None
        problem: str | None = None
        while not self._stop.is_asked.is_set():
            try:
                # Does not start a server again that was stopped while nothing ran: `tt stop` means stop.
                with opened_workplace(
                    folder, actor=self._actor, warn=self._instructions.listener.warn, is_starting=False
                ) as town:
                    problem = None
                    while not self._stop.is_asked.is_set():
                        report, position = self._work_once(town, lifeline)
                        last = report or last
                        if report is None:
                            self._idle(town, position)
            except RunUnfinishedError:
                raise
            except StoreUnavailableError as error:
                if problem != str(error):
                    problem = str(error)
                    self._instructions.listener.warn(error)
                self._stop.is_asked.wait(SERVER_WAIT_SECONDS)
        return last

    def _work_once(self, town: Workplace, lifeline: Lifeline) -> tuple[RunReport | None, Position]:
        """Take a task and work on it. None if there was no task at that position."""
        position = town.backend.upkeep.catch_up()
        mark = new_mark()
        backend = town.backend
        words = f"{self._instructions.agent}: {mark}"
        heartbeat = Heartbeat(backend.client, backend.keys, run=mark.id, words=words, where=backend.where)
        task = self._claimer.take(town, mark, heartbeat)
        if task is None:
            heartbeat.stop()
            return None, position
        run = Run(town, task, mark=mark, heartbeat=heartbeat, instructions=self._instructions)
        return run.work(lifeline), position

    def _idle(self, town: Workplace, position: Position) -> None:
        """Return after an event behind `position` that may bring work, when a task may begin, after IDLE_LOOK_SECONDS, or at a stop.

        Source: XREAD BLOCK.
        """
        # A task whose time came since it was looked for is looked for again.
        begins_in_ms = town.backend.live.next_begin_in_ms(since_ms=BEGUN_MS)
        waits = IDLE_LOOK_SECONDS if begins_in_ms is None else max(begins_in_ms, IDLE_BLOCK_MS) / 1_000
        looks_at = time.monotonic() + min(waits, IDLE_LOOK_SECONDS)
        while not self._stop.is_asked.is_set() and time.monotonic() < looks_at:
            if not town.backend.store.wait(position, block_ms=IDLE_BLOCK_MS):
                continue
            may_bring_work = False
            for batch in town.backend.store.read_batches(position):
                position = batch[-1].position
                may_bring_work |= any(self._claimer.may_bring_work(recorded) for recorded in batch)
            if may_bring_work:
                return
