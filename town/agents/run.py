"""Run: one program for one task, and one event that records its outcome.

A version guards every append: if somebody else cancelled, completed, reassigned or reclaimed the task meanwhile, the
run overwrites nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ledger import (
    Event,
    EventStore,
    LedgerDamagedError,
    LedgerError,
    RecordedEvent,
    RunMark,
    StoreUnavailableError,
    Task,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskHasOpenChildrenError,
    TaskNotFoundError,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    WrongExpectedVersionError,
)
from town.agents.lifeline import Lifeline
from town.agents.program import Ended, Ending, EndReason, follow_program, start_program
from town.agents.program_input import Answered, answered_in, last_answered, program_input
from town.agents.run_log import RunLog
from town.agents.workplace import Workplace, opened_workplace
from town.errors import ProgramNotStartedError, RunUnfinishedError
from town.reading.names import NewName
from town.runs.heartbeat import Heartbeat
from town.writer import DECIDE_ATTEMPTS_MAX, Receipt

FINISH_SECONDS_MAX: Final = 60.0
"""How long a runner tries to record the outcome of a run while the server does not answer."""
SERVER_WAIT_SECONDS: Final = 0.5
DESCRIPTION_PLACE: Final = "{description}"

_ENDS_A_RUN: Final[tuple[type[Event], ...]] = (
    TaskAsked,
    TaskAssigned,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    TaskCancelled,
    TaskRequeued,
    TaskReopened,
    TaskRemoved,
)


class RunOutcome(StrEnum):
    """The outcome of a run. `asked`: it put a question to people, and the task waits for the answer. `lost`: somebody else
    changed the task meanwhile, and nothing was overwritten.
    """

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    REQUEUED = "requeued"
    ASKED = "asked"
    LOST = "lost"


class RunReport(Struct, frozen=True):
    """A run that began or ended: its task at that moment, words about it, and the place of its output.

    `seconds` is how long the run has taken.
    """

    town: str
    agent: str
    run: str
    outcome: RunOutcome
    task: Task
    words: str | None
    log: str
    seconds: float


class RunListener:
    """Receives what a runner does. A subclass shows it."""

    def report(self, report: RunReport) -> None:
        """A run began or ended."""

    def warn(self, problem: LedgerError | str) -> None:
        """A problem came up, and the runner goes on."""

    def meet(self, agent: NewName) -> None:
        """The runner works for an agent that the town does not know yet."""


class Instructions(Struct, frozen=True):
    """What a runner does with each task: for which agent, with which program, what ends it early, and who listens."""

    agent: str
    command: tuple[str, ...]
    ending: Ending
    listener: RunListener


class Run:
    """The run with this mark, on the `task` that it has started."""

    def __init__(
        self, town: Workplace, task: Task, *, mark: RunMark, heartbeat: Heartbeat, instructions: Instructions
    ) -> None:
        self._town = town
        self._task = task
        self._mark = mark
        self._heartbeat = heartbeat
        self._instructions = instructions
        self._log = RunLog(town.folder, task_id=task.id, run=mark.id)
        self._begun_at = time.monotonic()

    def work(self, lifeline: Lifeline) -> RunReport:
        """Run the program and record the outcome.

        ProgramNotStartedError: the task has failed. RunUnfinishedError: only the log has the outcome.
        """
        try:
            self._heartbeat.keep_up(self._is_ours)
            self._tell(RunOutcome.STARTED, None)
            if self._instructions.ending.why() is not None:
                return self._finish(lambda town, version: self._requeue(town, version, "it was told to stop"))
            try:
                ended = self._run_program(lifeline)
            except ProgramNotStartedError as refusal:
                problem = refusal.problem
                report = self._finish(lambda town, version: self._fail(town, version, problem))
                if refusal.is_for_this_task:
                    return report
                raise
            if self._log.problem is not None:
                self._instructions.listener.warn(self._log.problem)
            return self._finish(lambda town, version: self._record(town, version, ended))
        finally:
            self._heartbeat.stop()

    def _run_program(self, lifeline: Lifeline) -> Ended:
        answered = self._answered()
        text = program_input(self._task.description, answered)
        command = [part.replace(DESCRIPTION_PLACE, text) for part in self._instructions.command]
        try:
            process = start_program(command, environment=self._environment(answered))
        except (OSError, ValueError) as error:
            raise ProgramNotStartedError(command[0], self._task.id, error) from error
        ending = self._instructions.ending
        ending = Ending(
            lambda: EndReason.LOST if self._heartbeat.has_lost_task.is_set() else self._instructions.ending.why(),
            ending.is_urgent,
            ending.grace_seconds,
        )
        with self._log:
            return follow_program(process, given=text.encode(), log=self._log, ending=ending, lifeline=lifeline)

    def _answered(self) -> list[Answered]:
        """The questions about the task that people answered, oldest first; only the last one if the ledger cannot be read."""
        if self._task.answer is None:
            return []
        try:
            return answered_in(self._town.backend.store.history(self._task.id))
        except (StoreUnavailableError, LedgerDamagedError):
            return last_answered(self._task)

    def _environment(self, answered: Sequence[Answered]) -> Mapping[str, str]:
        """The program's environment.

        A value that does not apply is empty, so that the value of an outer run never shows through.
        """
        return os.environ | {
            "TT_TASK": self._task.id,
            "TT_ALIAS": self._task.alias or "",
            "TT_TAGS": "\n".join(self._task.tags),
            "TT_QUESTION": answered[-1].question if answered else "",
            "TT_ANSWER": answered[-1].answer if answered else "",
            "TT_AGENT": self._instructions.agent,
            "TT_ACTOR": self._instructions.agent,
            "TT_TOWN": str(self._town.folder),
            "TT_TOWN_NAME": self._town.backend.name,
        }

    # --- recording the outcome ---------------------------------------------------------------------------------

    def _finish(self, write: Callable[[Workplace, int], RunReport]) -> RunReport:
        """Return what `write` returns. While the server does not answer, try again for a while, until an urgent stop."""
        deadline = time.monotonic() + FINISH_SECONDS_MAX
        told: set[str] = set()
        with ExitStack() as opened:
            town: Workplace | None = self._town
            while True:
                try:
                    # Start a server that died again, so that the result of the run is not lost with it.
                    town = town or opened.enter_context(
                        opened_workplace(
                            self._town.folder,
                            actor=self._town.backend.actor,
                            warn=self._instructions.listener.warn,
                        )
                    )
                    return self._write_down(town, write)
                except StoreUnavailableError as error:
                    if time.monotonic() > deadline or self._instructions.ending.is_urgent():
                        raise RunUnfinishedError(error, self._task.id, self._log.path) from error
                    if str(error) not in told:
                        told.add(str(error))
                        self._instructions.listener.warn(error)
                    time.sleep(SERVER_WAIT_SECONDS)
                    town = None

    def _write_down(self, town: Workplace, write: Callable[[Workplace, int], RunReport]) -> RunReport:
        """Record it, unless somebody else ended the run meanwhile. Notes and tags in between do not matter."""
        for remaining in reversed(range(DECIDE_ATTEMPTS_MAX)):
            version, ended = look_at_run(town.backend.store, self._task)
            if ended is not None:
                return self._tell_overtaken(town, ended)
            try:
                return write(town, version)
            except WrongExpectedVersionError:
                if not remaining:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _record(self, town: Workplace, version: int, ended: Ended) -> RunReport:
        if ended.asked is EndReason.LOST:
            # The heartbeat saw an event that ends a run, and events never disappear.
            raise AssertionError("a run that lost its task has an event that says so")
        if ended.asked is EndReason.STOPPED:
            killed = ", and its program was killed" if ended.was_killed else ""
            return self._requeue(town, version, f"it was told to stop{killed}")
        if ended.status:
            return self._fail(town, version, "\n".join(filter(None, (ended.words(), ended.complaint))))
        try:
            self._end(town.verbs.complete, version, result=ended.last_line, reason=str(self._mark))
        except TaskHasOpenChildrenError as error:
            children = f"{error.children} open task{'s' if error.children != 1 else ''}"
            return self._requeue(town, version, f"it ended well, and {children} right below it came meanwhile")
        return self._tell(RunOutcome.COMPLETED, ended.last_line)

    def _fail(self, town: Workplace, version: int, problem: str) -> RunReport:
        self._end(town.verbs.fail, version, error=problem, reason=str(self._mark))
        return self._tell(RunOutcome.FAILED, problem)

    def _requeue(self, town: Workplace, version: int, why: str) -> RunReport:
        self._end(town.verbs.requeue, version, reason=f"{self._mark}: {why}")
        return self._tell(RunOutcome.REQUEUED, why)

    def _end(self, verb: Callable[..., Receipt], version: int, **details: str | None) -> None:
        """Record what ends the run. A server that ends right after the append is not started for that: whoever reads projects."""
        try:
            self._task = verb(self._task.id, expected_version=version, **details).task
        except StoreUnavailableError as error:
            if not error.is_appended:
                raise
            self._instructions.listener.warn(error)

    def _tell_overtaken(self, town: Workplace, ended: RecordedEvent) -> RunReport:
        """What somebody else did with the task.

        What the agent itself recorded while the program ran counts as the run's own outcome.
        """
        # If it was removed, report it as it was before.
        with contextlib.suppress(TaskNotFoundError):
            self._task = town.reader.task(self._task.id)
        is_own = self._is_own_word(ended)
        match ended.data:
            case TaskCompleted(result=result) if is_own:
                return self._tell(RunOutcome.COMPLETED, result)
            case TaskFailed(error=error) if is_own:
                return self._tell(RunOutcome.FAILED, error)
            case TaskAsked(question=question) if is_own:
                return self._tell(RunOutcome.ASKED, question)
            case TaskAssigned(agent=agent):
                return self._tell(RunOutcome.LOST, f"assigned to {agent} by {ended.actor} meanwhile")
            case _:
                return self._tell(RunOutcome.LOST, f"{ended.type.partition('.')[2]} by {ended.actor} meanwhile")

    def _tell(self, outcome: RunOutcome, words: str | None) -> RunReport:
        report = RunReport(
            town=self._town.backend.name,
            agent=self._instructions.agent,
            run=self._mark.id,
            outcome=outcome,
            task=self._task,
            words=words,
            log=str(self._log.path.relative_to(self._town.folder)),
            seconds=time.monotonic() - self._begun_at,
        )
        self._instructions.listener.report(report)
        return report

    def _is_ours(self) -> bool:
        """Whether the program should go on. The heartbeat's thread calls this, with its own store."""
        backend = self._town.backend
        store = EventStore(backend.client, backend.keys, where=backend.where)
        if store.head(self._task.id)[0] == self._task.version:
            return True
        ended = look_at_run(store, self._task)[1]
        if ended is None:
            return True
        # A program that asked may tidy up, until somebody takes the task on with the answer.
        return self._is_own_word(ended) and not (isinstance(ended.data, TaskAsked) and self._is_taken_on(store))

    def _is_taken_on(self, store: EventStore) -> bool:
        """Whether somebody has the task by now."""
        later = (recorded for recorded in store.history(self._task.id) if recorded.version > self._task.version)
        return any(isinstance(recorded.data, TaskAssigned | TaskStarted) for recorded in later)

    def _is_own_word(self, ended: RecordedEvent) -> bool:
        """Whether the agent itself recorded the outcome, from within the program, which may still have to tidy up."""
        by_us = ended.actor in (self._instructions.agent, self._town.backend.actor)
        return by_us and isinstance(ended.data, TaskCompleted | TaskFailed | TaskAsked)


def look_at_run(store: EventStore, task: Task) -> tuple[int, RecordedEvent | None]:
    """The task's present version, and the event that ended the run that `task` shows started, if any."""
    history = store.history(task.id)
    later = (recorded for recorded in history if recorded.version > task.version)
    ended = next((recorded for recorded in later if isinstance(recorded.data, _ENDS_A_RUN)), None)
    return history[-1].version, ended
