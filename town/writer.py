"""The write side: read a task, decide, append, project; and again where another writer was first.

A command is decided on the snapshot, which is as good as the ledger once it has been caught up: the append's guard
fails if it was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Final, TypeVar

from msgspec import Struct

from ledger import (
    ClaimTask,
    Command,
    CommandRejectedError,
    Event,
    LedgerDamagedError,
    NewEvent,
    Position,
    StoreUnavailableError,
    Task,
    TaskCreated,
    TaskDamagedError,
    TaskRemoved,
    WishedTask,
    WrongExpectedVersionError,
    check_name,
    check_text,
    decide,
    evolve,
    new_command_id,
    reconcile,
    record,
    to_ms,
)
from projections import NOTHING, Wanted, damage_of
from town.backend import Backend
from town.errors import OvertakenError

DECIDE_ATTEMPTS_MAX: Final = 20

Result = TypeVar("Result")
Wish = tuple[Command, Mapping[str, int]]
"""A command, and the versions of other tasks that it relies on."""
Decided = tuple[str, int, Sequence[Event]]
"""A task, the version that was decided on, and the events decided."""


class Receipt(Struct, frozen=True):
    """What a command led to: the task as it is after it (before it, if removed), and the positions of its events.

    No positions: it was true already, and nothing was appended.
    """

    task: Task
    positions: tuple[Position, ...]


class Reconciled(Struct, frozen=True):
    """How many tasks were created, changed and removed, and the positions of the events."""

    created: int
    changed: int
    removed: int
    positions: tuple[Position, ...]


class Decisions(Struct, frozen=True):
    """What was decided for several tasks, in the order of the events, and the versions of other tasks it relies on."""

    decided: tuple[Decided, ...]
    relied_on: Mapping[str, int] = {}
    causes: Mapping[str, Position] = {}
    """Task -> the position that led to its events, where one did."""


Made = TypeVar("Made", bound=Decisions)


class _StaleError(Exception):
    """A task is not as it was when it was decided on; `conflict` says which."""

    def __init__(self, conflict: WrongExpectedVersionError) -> None:
        self.conflict = conflict
        super().__init__(str(conflict))


class Writer:
    """Writes one town's ledger as whoever opened it."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._live = backend.live
        self._actor = backend.actor
        self._upkeep = backend.upkeep
        self.loader = backend.loader

    def execute(
        self,
        wish: Callable[[], Wish],
        *,
        wanted: Wanted = NOTHING,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Carry out a wish; where another writer was first, read and decide again.

        `wanted` is what the wish will look at. `wish` is made anew at each attempt, after catching up. Where the command's own task is not at `expected_version`,
        WrongExpectedVersionError; that a parent changed meanwhile is no reason for it. OvertakenError after a bound.
        """
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> Receipt:
            command, relied_on = wish()
            task = command.task
            state, version = self.loader.load(task)
            if expected_version is not None and version != expected_version:
                raise WrongExpectedVersionError(task, expected=expected_version, actual=version)
            facts = self._decide(state, command, relied_on)
            if not facts:
                assert state is not None, "only what is there can be as wished already"
                return Receipt(state, ())
            events, positions = self._append([(task, version, facts)], relied_on, reason=checked_reason)
            return Receipt(_after(state, events, positions), tuple(positions))

        return self._attempt(attempt, wanted)

    def execute_all(
        self,
        commands: Callable[[], Sequence[Command]],
        *,
        wanted: Wanted = NOTHING,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Carry out commands on as many tasks in one append, all or none; the receipt is that of the last one.

        `expected_version` is the last task's. Attempts are as for `execute`.
        """
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> Receipt:
            wished = commands()
            loaded = self.loader.load_many([command.task for command in wished])
            state, version = loaded[-1]
            if expected_version is not None and version != expected_version:
                raise WrongExpectedVersionError(wished[-1].task, expected=expected_version, actual=version)
            # The last one first: it is the task that was named, so its refusal is the reason to give.
            own_facts = decide(state, wished[-1])
            decided = [
                (command.task, at_version, decide(task, command))
                for command, (task, at_version) in zip(wished[:-1], loaded[:-1], strict=True)
            ]
            decided.append((wished[-1].task, version, own_facts))
            if not any(facts for _, _, facts in decided):
                assert state is not None, "only what is there can be as wished already"
                return Receipt(state, ())
            events, positions = self._append([each for each in decided if each[2]], {}, reason=checked_reason)
            own = [(event, at) for event, at in zip(events, positions, strict=True) if event.task == wished[-1].task]
            after = _after(state, [event for event, _ in own], [at for _, at in own])
            return Receipt(after, tuple(positions))

        return self._attempt(attempt, wanted)

    def assign_all(self, agent: str, *, reason: str | None = None) -> tuple[Task, ...]:
        """Give the whole backlog to an agent, all or none; returns the tasks it got."""
        checked_reason = None if reason is None else check_text(reason, "reason")
        agent = check_name(agent, "agent name")

        def attempt() -> tuple[Task, ...]:
            tasks = [task for task in self._live.backlog().tasks if task.damaged_at is None]
            claims = [ClaimTask(task=task.id, agent=agent) for task in tasks]
            decided = [(task.id, task.version, decide(task, claim)) for task, claim in zip(tasks, claims, strict=True)]
            if not any(facts for _, _, facts in decided):
                return ()
            self._append(decided, {}, reason=checked_reason)
            return tuple(task for task in self._live.get_many([task.id for task in tasks]) if task is not None)

        return self._attempt(attempt)

    def reconcile(
        self, wishes: Callable[[], Mapping[str, WishedTask | None]], *, backdate: datetime | None = None
    ) -> Reconciled:
        """Make the tasks as wished, None for removed, in one append. `wishes` are made anew at each attempt."""

        def attempt() -> Decisions:
            wished = wishes()
            return Decisions(decide_wishes(dict(zip(wished, self.loader.load_many(list(wished)), strict=True)), wished))

        decisions, positions = self.carry_out(attempt, backdate=backdate)
        created = sum(isinstance(events[0], TaskCreated) for _, _, events in decisions.decided)
        removed = sum(isinstance(events[-1], TaskRemoved) for _, _, events in decisions.decided)
        return Reconciled(created, len(decisions.decided) - created - removed, removed, positions)

    def carry_out(
        self, make_decisions: Callable[[], Made], *, reason: str | None = None, backdate: datetime | None = None
    ) -> tuple[Made, tuple[Position, ...]]:
        """Append what is decided for several tasks, all or none. Decisions are made anew at each attempt, after catching up."""
        backdate_ms = None if backdate is None else to_ms(backdate)
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> tuple[Made, tuple[Position, ...]]:
            made = make_decisions()
            if not made.decided:
                return made, ()
            appended = self._append(
                made.decided, made.relied_on, causes=made.causes, reason=checked_reason, backdate_ms=backdate_ms
            )
            return made, tuple(appended[1])

        return self._attempt(attempt)

    def _attempt(self, attempt: Callable[[], Result], wanted: Wanted = NOTHING) -> Result:
        """What `attempt` returns; where another writer was first, catch up and attempt again. OvertakenError."""
        for remaining in reversed(range(DECIDE_ATTEMPTS_MAX)):
            try:
                with self.loader.caught_up(wanted):
                    return attempt()
            except _StaleError as stale:
                if not remaining:
                    raise OvertakenError(stale.conflict, attempts=DECIDE_ATTEMPTS_MAX) from stale.conflict
            except TaskDamagedError as damage:
                task = None if damage.flaw is not None else self._live.get(damage.task)
                raise (None if task is None else damage_of(self._store, task)) or damage from None
        raise AssertionError("the last attempt returns or raises")

    def _decide(self, state: Task | None, command: Command, relied_on: Mapping[str, int]) -> list[Event]:
        """As `decide`; a refusal holds only if what it relied on was read at one moment: else _StaleError."""
        try:
            return decide(state, command)
        except CommandRejectedError:
            for other, version in relied_on.items():
                actual = self._store.head(other)[0]
                if actual != version:
                    conflict = WrongExpectedVersionError(other, expected=version, actual=actual)
                    raise _StaleError(conflict) from None
            raise

    def _append(
        self,
        decided: Sequence[Decided],
        guards: Mapping[str, int],
        *,
        causes: Mapping[str, Position] = {},
        reason: str | None = None,
        backdate_ms: int | None = None,
    ) -> tuple[list[NewEvent], list[Position]]:
        """Append what was decided, all or none, and project it. _StaleError: nothing was written.

        Where only projecting fails, the error says that the events are in the ledger.
        """
        command = new_command_id()
        events = [
            NewEvent(
                task=task,
                version=number,
                actor=self._actor,
                command=command,
                data=data,
                reason=reason,
                cause=causes.get(task),
            )
            for task, version, facts in decided
            for number, data in enumerate(facts, version + 1)
        ]
        for task, _, _ in decided:
            # What was decided on was folded from the ledger: with no snapshot to go on from, projecting would stop.
            if task in self._live.lost and self._live.get(task) is None:
                raise self._live.loss_of(task)
        versions = dict(guards) | {task: version for task, version, _ in decided}
        try:
            positions = self._store.append(events, versions, backdate_ms=backdate_ms)
        except WrongExpectedVersionError as conflict:
            raise _StaleError(conflict) from conflict
        look = self.loader.look
        try:
            appended = [record(event, position) for event, position in zip(events, positions, strict=True)]
            if look is None or not self._upkeep.project_own(look, appended):
                self._upkeep.catch_up(positions[-1])
        except StoreUnavailableError as error:
            raise error.after_append(_appended(positions)) from error
        except LedgerDamagedError as error:
            raise LedgerDamagedError(f"{_appended(positions)} {error}") from error
        return events, positions


def decide_wishes(
    states: Mapping[str, tuple[Task | None, int]], wishes: Mapping[str, WishedTask | None]
) -> tuple[Decided, ...]:
    """The events that lead each task from what it is to what is wished, parents first and removals last; none is left out."""
    facts = ((task, reconcile(states[task][0], wishes[task])) for task in _parents_first(wishes))
    return tuple((task, states[task][1], events) for task, events in facts if events)


def _appended(positions: Sequence[Position]) -> str:
    return f"The command's events are in the ledger, up to {positions[-1]}; do not repeat it."


def _after(state: Task | None, events: Sequence[NewEvent], positions: Sequence[Position]) -> Task:
    """The task right after its own events, whatever others did since; as it was before, where they removed it."""
    task = copy(state)
    for event, position in zip(events, positions, strict=True):
        last = task
        task = evolve(task, record(event, position))
    remaining = task or last
    assert remaining is not None, "an event either makes a task or finds one"
    return remaining


def _parents_first(wishes: Mapping[str, WishedTask | None]) -> list[str]:
    """The tasks in their order, but that a parent comes before its children, and removals come last."""
    ordered: dict[str, None] = {}
    for task, wish in wishes.items():
        above: list[str] = []
        current = None if wish is None else task
        while current is not None and current not in ordered:
            assert len(above) <= len(wishes), "no task lies below itself"
            above.append(current)
            wished = wishes.get(current)
            parent = None if wished is None else wished.parent_id
            current = parent if wishes.get(parent or "") is not None else None
        ordered.update(dict.fromkeys(reversed(above)))
    return [*ordered, *(task for task, wish in wishes.items() if wish is None)]
