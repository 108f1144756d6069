"""The write side: read a task, decide, append, project.

If another writer was first, it starts again. It decides on the snapshot, which is as good as the ledger after a
catch-up: if it is stale, the append's guard fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from msgspec import Struct

from ledger import (
    Basis,
    BasisDisturbedError,
    ClaimTask,
    Command,
    CommandRejectedError,
    CreateTask,
    DesiredTask,
    Event,
    LedgerClosedError,
    LedgerDamagedError,
    NewEvent,
    NotReplicatedError,
    Position,
    State,
    StoreUnavailableError,
    Task,
    TaskAdopted,
    TaskAsked,
    TaskCreated,
    TaskDamagedError,
    TaskLinked,
    TaskMoved,
    TaskRemoved,
    TaskRemovedError,
    TaskReopened,
    TaskScheduled,
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

if TYPE_CHECKING:
    from projections import ReadyPage

DECIDE_ATTEMPTS_MAX: Final = 20
UNSETTLES: Final[frozenset[type[Event]]] = frozenset(
    {TaskCreated, TaskAdopted, TaskMoved, TaskReopened, TaskRemoved, TaskLinked, TaskAsked, TaskScheduled}
)
"""The facts of other tasks that can keep a task from being begun that could be begun before."""

Result = TypeVar("Result")


class Guarded(NamedTuple):
    """A command, the versions of tasks on which it relies, and its basis, if it has one.

    Its own task is among them if the command was made of what the task was.
    """

    command: Command
    relied_on: Mapping[str, int] = {}
    basis: Basis | None = None


Decided = tuple[str, int, Sequence[Event]]
"""A task's id, the version on which the decision was made, and the events."""


class Receipt(Struct, frozen=True):
    """The result of a command: the task after it (before it, if removed), and the positions of its events.

    No positions: the state was reached already, and nothing was appended.
    """

    task: Task
    positions: tuple[Position, ...]


class Decisions(Struct, frozen=True):
    """The decisions for several tasks, in the order of the events, and the versions of other tasks on which they rely."""

    decided: tuple[Decided, ...]
    relied_on: Mapping[str, int] = {}
    causes: Mapping[str, Position] = {}
    """Task -> the position that led to its events, where one did."""
    basis: Basis | None = None
    occurred: Mapping[tuple[str, int], datetime] = {}
    """Task and version -> when it happened, for events that are older than their records."""

    @property
    def created(self) -> int:
        """How many tasks they create."""
        return sum(isinstance(events[0], TaskCreated) for _, _, events in self.decided)

    @property
    def removed(self) -> int:
        return sum(isinstance(events[-1], TaskRemoved) for _, _, events in self.decided)

    @property
    def changed(self) -> int:
        return len(self.decided) - self.created - self.removed


Made = TypeVar("Made", bound=Decisions)


class RepeatedError(Exception):
    """The command was carried out before; `receipt` is that of then."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__("carried out before")


class _StaleError(Exception):
    """A task has changed since the decision; `conflict` says which."""

    def __init__(self, conflict: WrongExpectedVersionError) -> None:
        self.conflict = conflict
        super().__init__(str(conflict))


class Writer:
    """Writes one town's ledger, as the town's actor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store = backend.store
        self._live = backend.live
        self._actor = backend.actor
        self._upkeep = backend.upkeep
        self._appended: Sequence[Position] = ()
        """The positions of the events that the present command appended."""
        self.loader = backend.loader

    def execute(
        self,
        make_command: Callable[[], Guarded],
        *,
        wanted: Wanted = NOTHING,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Carry out a command.

        If another writer was first, read and decide again. `wanted` is what the command will read. `make_command` is
        called anew at each attempt, after catching up. WrongExpectedVersionError if the command's own task is not at
        `expected_version`; a changed parent does not raise it. OvertakenError after DECIDE_ATTEMPTS_MAX attempts.
        """
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> Receipt:
            command, relied_on, basis = make_command()
            task_id = command.task_id
            state, version = self.loader.load(task_id)
            if expected_version is not None and version != expected_version:
                raise WrongExpectedVersionError(task_id, expected=expected_version, actual=version)
            made_of = relied_on.get(task_id, version)
            if version != made_of:
                raise _StaleError(WrongExpectedVersionError(task_id, expected=made_of, actual=version))
            _refuse_removed(state, version, command)
            facts = self._decide(state, command, relied_on)
            if not facts:
                assert state is not None, "only what is there can be so already"
                return Receipt(state, ())
            events, positions = self._append([(task_id, version, facts)], relied_on, basis=basis, reason=checked_reason)
            return Receipt(_after(state, events, positions), tuple(positions))

        return self._attempt(attempt, wanted)

    def execute_all(
        self,
        make_commands: Callable[[], Sequence[Command]],
        *,
        wanted: Wanted = NOTHING,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Carry out commands, each on its own task, in one append, all or none.

        The receipt is the last one's. `expected_version` is that of the last task. Attempts are as for `execute`.
        """
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> Receipt:
            commands = make_commands()
            loaded = self.loader.load_many([command.task_id for command in commands])
            state, version = loaded[-1]
            if expected_version is not None and version != expected_version:
                raise WrongExpectedVersionError(commands[-1].task_id, expected=expected_version, actual=version)
            _refuse_removed(state, version, commands[-1])
            # Decide the last one first: it is the task that the user named, so its refusal is the reason to report.
            own_facts = decide(state, commands[-1])
            decided = [
                (command.task_id, at_version, decide(task, command))
                for command, (task, at_version) in zip(commands[:-1], loaded[:-1], strict=True)
            ]
            decided.append((commands[-1].task_id, version, own_facts))
            if not any(facts for _, _, facts in decided):
                assert state is not None, "only what is there can be so already"
                return Receipt(state, ())
            events, positions = self._append([each for each in decided if each[2]], {}, reason=checked_reason)
            own = [
                (event, at) for event, at in zip(events, positions, strict=True) if event.task == commands[-1].task_id
            ]
            after = _after(state, [event for event, _ in own], [at for _, at in own])
            return Receipt(after, tuple(positions))

        return self._attempt(attempt, wanted)

    def take_first(
        self, find: Callable[[], ReadyPage], command_for: Callable[[Task], Command], *, reason: str | None = None
    ) -> Receipt | None:
        """Carry out a command on the first task of a page that nobody took since; None if there is none.

        The events of the first are appended in one call, so of many that take at once each gets another one.
        """
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> Receipt | None:
            page = find()
            if not page.tasks:
                return None
            first = page.tasks[0]
            facts = {task.id: _facts_unless_taken(task, command_for(task)) for task in page.tasks}
            if facts[first.id] == [] and first.state is State.ASSIGNED:
                return Receipt(first, ())
            choices = [
                self._events([(task.id, task.version, own)], reason=checked_reason)
                for task in page.tasks
                if (own := facts[task.id])
            ]
            if not choices:
                raise _StaleError(_moved_on(first))
            events, positions = self._append_first(
                choices, Basis(page.position, UNSETTLES, parents=frozenset(facts)), first
            )
            taken = next(task for task in page.tasks if task.id == events[0].task)
            return Receipt(_after(taken, events, positions), tuple(positions))

        return self._attempt(attempt)

    def assign_all(self, agent: str, *, reason: str | None = None) -> tuple[Task, ...]:
        """Give the whole backlog to an agent, all or none, but for tasks with open children; returns the tasks it got."""
        checked_reason = None if reason is None else check_text(reason, "reason")
        agent = check_name(agent, "agent name")

        def attempt() -> tuple[Task, ...]:
            tasks = self._without_parents([task for task in self._live.backlog().tasks if task.damaged_at is None])
            claims = [ClaimTask(task_id=task.id, agent=agent) for task in tasks]
            decided = [(task.id, task.version, decide(task, claim)) for task, claim in zip(tasks, claims, strict=True)]
            self.loader.saw(task.position for task in tasks)
            if not any(facts for _, _, facts in decided):
                return ()
            self._append(decided, {}, reason=checked_reason)
            return tuple(task for task in self._live.get_many([task.id for task in tasks]) if task is not None)

        return self._attempt(attempt, Wanted(agents=(agent,), actor=self._actor))

    def carry_out(
        self, make_decisions: Callable[[], Made], *, reason: str | None = None, backdate: datetime | None = None
    ) -> tuple[Made, tuple[Position, ...]]:
        """Append decisions for several tasks, all or none. They are made anew at each attempt, after catching up."""
        backdate_ms = None if backdate is None else to_ms(backdate)
        checked_reason = None if reason is None else check_text(reason, "reason")

        def attempt() -> tuple[Made, tuple[Position, ...]]:
            made = make_decisions()
            if not made.decided:
                return made, ()
            appended = self._append(
                made.decided,
                made.relied_on,
                causes=made.causes,
                occurred=made.occurred,
                basis=made.basis,
                reason=checked_reason,
                backdate_ms=backdate_ms,
            )
            return made, tuple(appended[1])

        return self._attempt(attempt)

    def _without_parents(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks without open children: one with such is no work of its own."""
        # Only this verb asks so.
        from projections import Asked, RedisNeighbours  # noqa: PLC0415

        ask = RedisNeighbours(self._backend.client, self._backend.keys, where=self._backend.where)
        counts = ask(Asked(counts=[task.id for task in tasks])).counts
        return [task for task in tasks if not counts[task.id].open_children]

    def _attempt(self, attempt: Callable[[], Result], wanted: Wanted = NOTHING) -> Result:
        """Return what `attempt` returns. If another writer was first, catch up and attempt again. OvertakenError."""
        self._appended = ()
        for remaining in reversed(range(DECIDE_ATTEMPTS_MAX)):
            try:
                with self.loader.caught_up(wanted):
                    self._store.refuse_loss()
                    self.refuse_repeat()
                    result = attempt()
                return self._confirmed(result)
            except _StaleError as stale:
                if not remaining:
                    raise OvertakenError(stale.conflict, attempts=DECIDE_ATTEMPTS_MAX) from stale.conflict
            except TaskDamagedError as damage:
                task = None if damage.flaw is not None else self._live.get(damage.task_id)
                raise (None if task is None else damage_of(self._store, task)) or damage from None
        raise AssertionError("the last attempt returns or raises")

    def refuse_repeat(self) -> None:
        """RepeatedError if the command has an id of its caller's own, and was carried out before. NotReplicatedError."""
        keyed = self._backend.keyed
        receipt = None if keyed is None else keyed.find()
        if isinstance(receipt, Receipt):
            self._appended = receipt.positions
            raise RepeatedError(self._confirmed(receipt))

    def _confirmed(self, result: Result) -> Result:
        """The result, once what it stands on is on as many replicas as the town asks for. NotReplicatedError."""
        if self._backend.replicas:
            try:
                self._backend.acks.confirm(self._appended[-1] if self._appended else None)
            except NotReplicatedError as error:
                error.result = result
                if error.is_lost:
                    # It was not acknowledged, and the caller is told to do it again: it is not to be missed.
                    self._store.receipts.forget(self._appended)
                raise
        return result

    def _decide(self, state: Task | None, command: Command, relied_on: Mapping[str, int]) -> list[Event]:
        """As `decide`.

        A refusal holds only if everything it relied on is still at the version read; otherwise _StaleError.
        """
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
        occurred: Mapping[tuple[str, int], datetime] = {},
        basis: Basis | None = None,
        reason: str | None = None,
        backdate_ms: int | None = None,
    ) -> tuple[list[NewEvent], list[Position]]:
        """Append the decided events, all or none, and project them. _StaleError: nothing was written.

        If only projecting fails, the error says that the events are in the ledger.
        """
        events = self._events(decided, causes=causes, occurred=occurred, reason=reason)
        for task_id, _, _ in decided:
            # The decision was made on a task folded from the ledger. Without its snapshot, projecting would stop.
            if task_id in self._live.lost and self._live.get(task_id) is None:
                raise self._live.loss_of(task_id)
        versions = dict(guards) | {task_id: version for task_id, version, _ in decided}
        try:
            stands_on = basis or Basis(self.loader.seen)
            positions = self._store.append(events, versions, backdate_ms=backdate_ms, basis=stands_on)
        except WrongExpectedVersionError as conflict:
            raise _StaleError(conflict) from conflict
        except BasisDisturbedError as disturbed:
            task_id, version, _ = decided[-1]
            raise _StaleError(WrongExpectedVersionError(task_id, expected=version, actual=version)) from disturbed
        self._project(events, positions)
        return events, positions

    def _append_first(
        self, choices: Sequence[Sequence[NewEvent]], basis: Basis, first: Task
    ) -> tuple[Sequence[NewEvent], list[Position]]:
        """Append one of the choices, and project it. _StaleError: nothing was written; `first` is the task of the first choice."""
        try:
            events, positions = self._store.append_first(choices, basis)
        except WrongExpectedVersionError as conflict:
            raise _StaleError(conflict) from conflict
        except BasisDisturbedError as disturbed:
            raise _StaleError(_moved_on(first)) from disturbed
        self._project(events, positions)
        return events, positions

    def _events(
        self,
        decided: Sequence[Decided],
        *,
        causes: Mapping[str, Position] = {},
        occurred: Mapping[tuple[str, int], datetime] = {},
        reason: str | None,
    ) -> list[NewEvent]:
        """The events of one command."""
        keyed = self._backend.keyed
        command = new_command_id() if keyed is None else keyed.command_id
        return [
            NewEvent(
                task=task_id,
                version=number,
                actor=self._actor,
                command=command,
                data=data,
                reason=reason,
                cause=causes.get(task_id),
                occurred_at=occurred.get((task_id, number)),
            )
            for task_id, version, facts in decided
            for number, data in enumerate(facts, version + 1)
        ]

    def _project(self, events: Sequence[NewEvent], positions: Sequence[Position]) -> None:
        """Project what was appended. If that fails, the error says that the events are in the ledger."""
        look = self.loader.look
        self._appended = positions
        try:
            appended = [record(event, position) for event, position in zip(events, positions, strict=True)]
            if look is None or not self._upkeep.project_own(look, appended):
                self._upkeep.catch_up(positions[-1])
        except LedgerClosedError:
            # The town moved right after the append, and the events with it. They are projected where it is.
            return
        except StoreUnavailableError as error:
            raise error.after_append(_appended(positions)) from error
        except LedgerDamagedError as error:
            raise LedgerDamagedError(f"{_appended(positions)} {error}") from error


def _refuse_removed(state: Task | None, version: int, command: Command) -> None:
    """TaskRemovedError for a command on a task that is there no more. Only its creation brings it back."""
    if state is None and version and not isinstance(command, CreateTask):
        raise TaskRemovedError(command.task_id)


def _facts_unless_taken(task: Task, command: Command) -> list[Event] | None:
    """As `decide`; None if it was taken between the two reads of a page."""
    try:
        return decide(task, command)
    except CommandRejectedError:
        return None


def _moved_on(task: Task) -> WrongExpectedVersionError:
    """The conflict for a task that is not what the decision stood on, whatever its version."""
    return WrongExpectedVersionError(task.id, expected=task.version, actual=task.version)


def reconcile_all(
    states: Mapping[str, tuple[Task | None, int]], desired: Mapping[str, DesiredTask | None]
) -> tuple[Decided, ...]:
    """The events that lead each task from its present to its desired state, parents first and removals last."""
    facts = ((task_id, reconcile(states[task_id][0], desired[task_id])) for task_id in _parents_first(desired))
    return tuple((task_id, states[task_id][1], events) for task_id, events in facts if events)


def _appended(positions: Sequence[Position]) -> str:
    return f"The command's events are in the ledger, up to {positions[-1]}; do not repeat it."


def _after(state: Task | None, events: Sequence[NewEvent], positions: Sequence[Position]) -> Task:
    """The task right after these events, whatever others did since. If the events removed it, the task before that."""
    task = copy(state)
    for event, position in zip(events, positions, strict=True):
        last = task
        task = evolve(task, record(event, position))
    remaining = task or last
    assert remaining is not None, "an event either makes a task or finds one"
    return remaining


def _parents_first(desired: Mapping[str, DesiredTask | None]) -> list[str]:
    """The tasks in their order, except that parents come before their children, and removals come last."""
    ordered: dict[str, None] = {}
    for task_id, wanted in desired.items():
        above: list[str] = []
        current = None if wanted is None else task_id
        while current is not None and current not in ordered:
            assert len(above) <= len(desired), "no task lies below itself"
            above.append(current)
            target = desired.get(current)
            parent = None if target is None else target.parent_id
            current = parent if desired.get(parent or "") is not None else None
        ordered.update(dict.fromkeys(reversed(above)))
    return [*ordered, *(task_id for task_id, target in desired.items() if target is None)]
