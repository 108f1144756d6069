"""Undoing: takes back what a command changed, on one task or many, in one append that names what it takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import (
    CircularNeedsError,
    NotUndoableError,
    Position,
    RecordedEvent,
    TaskCycleError,
    TaskHasChildrenError,
    TaskNotFoundError,
    TaskRemovedError,
    Ties,
    TownEvent,
    Undone,
    undo,
)
from projections import NOTHING
from town.backend import Backend
from town.errors import MomentError, NothingToUndoError
from town.linking import BRINGS_CHILDREN, CLOSES_CIRCLES, Circles
from town.reading.command_events import events_of_command, read_back_from
from town.reading.event_reader import known_moments
from town.reading.present import Present
from town.reading.references import References
from town.reading.when import event_named
from town.writer import Decisions, Writer, reconcile_all

if TYPE_CHECKING:
    from ledger import Task

UNDO_EVENTS_MAX: Final = 100_000
"""How far back the last command of an actor is looked for."""


class UndoReceipt(Struct, frozen=True):
    """What was taken back: the events of the command, what became of each task, and the positions of the new events.

    Without positions it is a preview, and nothing was appended.
    """

    command: tuple[RecordedEvent, ...]
    tasks: tuple[Undone, ...]
    positions: tuple[Position, ...] = ()


class _Taking(Decisions, frozen=True, kw_only=True):
    """What leads the tasks of a command back."""

    tasks: tuple[Undone, ...]


class Undoing:
    """Takes back commands of one town."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._live = backend.live
        self._actor = backend.actor
        self._references = References(Present(backend), town=backend.alias_town)
        self._writer = Writer(backend)
        self._circles = Circles(backend)

    def preview(self, what: str | None = None) -> UndoReceipt:
        """What `undo` would do; nothing is written. Errors as there."""
        with self._writer.loader.caught_up(NOTHING):
            events = self._command(what)
            return UndoReceipt(tuple(events), self._take(events).tasks)

    def undo(self, what: str | None = None, *, reason: str | None = None) -> UndoReceipt:
        """Take back a command, all or none: the one with the event `what` names, by position or number; the last one of the task
        that `what` names; None is the actor's last one.

        UndoOvertakenError, NotUndoableError, NothingToUndoError, MomentError, TaskNotFoundError, TaskHasChildrenError,
        TaskCycleError, CircularNeedsError: nothing was written.
        """
        with self._writer.loader.caught_up(NOTHING):
            events = self._command(what)
        taking, positions = self._writer.carry_out(lambda: self._take(events), reason=reason)
        return UndoReceipt(tuple(events), taking.tasks, positions)

    def tasks_of(self, what: str) -> list[str]:
        """The tasks of the command that `what` names, as `undo` takes it."""
        with self._writer.loader.caught_up(NOTHING):
            return list(dict.fromkeys(recorded.task for recorded in self._command(what)))

    def _take(self, events: list[RecordedEvent]) -> _Taking:
        """What takes back the command of these events, which are all of it."""
        last = events[-1]
        if any(isinstance(recorded.data, TownEvent) for recorded in events):
            raise NotUndoableError(last.at, "is a fact of the town, and changed nothing on its board")
        basis = self._circles.basis()
        histories = self._histories(list(dict.fromkeys(recorded.task for recorded in events)))
        found = {task: undo(history, last.command) for task, history in histories.items()}
        tasks = {task: undone for task, undone in found.items() if undone is not None}
        if not tasks:
            raise NotUndoableError(last.at, "changed nothing on the board")
        self._check_children(tasks)
        relied_on = self._check_parents(tasks)
        is_tied = self._check_circles(tasks)
        going = _going(tasks)
        disturbed_by = CLOSES_CIRCLES if is_tied else BRINGS_CHILDREN if going else frozenset()
        states = {task: (undone.now, undone.version) for task, undone in tasks.items()}
        kept = [task for task, undone in tasks.items() if undone.desired is not None]
        kept.sort(key=lambda task: tasks[task].created_number)
        # What was made first goes last: nothing stays below what is gone.
        desired = {
            task: tasks[task].desired
            for task in [*kept, *reversed([each for each in tasks if tasks[each].desired is None])]
        }
        return _Taking(
            decided=reconcile_all(states, desired),
            relied_on=relied_on,
            causes={task: undone.cause for task, undone in tasks.items()},
            basis=basis._replace(disturbed_by=disturbed_by, parents=frozenset(going)) if disturbed_by else None,
            tasks=tuple(tasks.values()),
        )

    def _histories(self, task_ids: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """Task id -> all its events, oldest first; of many tasks they are read together."""
        saw = self._writer.loader.saw
        if len(task_ids) == 1:
            histories = {task_id: self._store.history(task_id) for task_id in task_ids}
            saw(events[-1].position for events in histories.values() if events)
            return histories
        heads = self._store.heads(task_ids)
        saw(at for _, at in heads)
        return self._store.histories_upto({task_id: at for task_id, (_, at) in zip(task_ids, heads, strict=True)})

    def _check_children(self, tasks: Mapping[str, Undone]) -> None:
        """TaskHasChildrenError for a task that would go and leave children."""
        going = _going(tasks)
        if not self._staying_below(going, tasks):
            return
        for task in going:
            if staying := self._staying_below([task], tasks):
                raise TaskHasChildrenError(task, len(staying))

    def _staying_below(self, parents: Sequence[str], tasks: Mapping[str, Undone]) -> list[str]:
        """The tasks right below any of `parents` that neither go nor go elsewhere."""
        above = frozenset(parents)
        ways = {child: tasks.get(child) for child in self._live.children_of(parents)}
        return [child for child, way in ways.items() if way is None or (way.then and way.then.parent_id in above)]

    def _check_parents(self, tasks: Mapping[str, Undone]) -> dict[str, int]:
        """The versions of other tasks above those that come back or go elsewhere. TaskRemovedError, TaskCycleError."""
        relied_on: dict[str, int] = {}
        others: dict[str, Task | None] = {}
        for task, undone in tasks.items():
            parent = None if undone.then is None else undone.then.parent_id
            if parent is None or (undone.now is not None and undone.now.parent_id == parent):
                continue
            above: set[str] = set()
            current: str | None = parent
            while current is not None and current not in above:
                if current == task:
                    raise TaskCycleError(task, parent)
                above.add(current)
                if current not in tasks and current not in others:
                    others[current], relied_on[current] = self._writer.loader.load(current)
                state = tasks[current].then if current in tasks else others[current]
                if state is None and current == parent:
                    raise TaskRemovedError(parent)
                current = None if state is None else state.parent_id
        return relied_on

    def _check_circles(self, tasks: Mapping[str, Undone]) -> bool:
        """Whether a task gets new ties. CircularNeedsError if they close a circle."""
        ties = {task: _ties(undone.then) for task, undone in tasks.items()}
        if not any(_has_more(place, _ties(tasks[task].now)) for task, place in ties.items()):
            return False
        circle = self._circles.find(ties)
        if circle:
            raise CircularNeedsError(circle)
        return True

    def _command(self, what: str | None) -> list[RecordedEvent]:
        """All events of the command that `what` names, oldest first."""
        named = self._last_of_actor() if what is None else self._named(what.strip())
        return events_of_command(self._store, named)

    def _named(self, what: str) -> RecordedEvent:
        """The event at a position or of a number, else the last one of a task."""
        try:
            event = event_named(what)
        except ValueError:
            raise self._no_event_at(what) from None
        position = self._store.position_of(event) if isinstance(event, int) else event
        recorded = None if position is None else self._store.event_at(position)
        if recorded is not None:
            return recorded
        if isinstance(event, Position):
            raise self._no_event_at(what)
        try:
            last = self._store.last_event(self._references.resolve(what, is_removed_too=True))
        except TaskNotFoundError:
            if event is None:
                raise
            raise MomentError(f"Event {what}", "is not in this town", known_moments(self._store)) from None
        assert last is not None, "a task that is known has an event"
        return last

    def _no_event_at(self, position: str) -> MomentError:
        return MomentError(f"Position {position}", "is not an event of this town", known_moments(self._store))

    def _last_of_actor(self) -> RecordedEvent:
        for recorded in islice(read_back_from(self._store, None), UNDO_EVENTS_MAX):
            if recorded.actor == self._actor:
                return recorded
        raise NothingToUndoError(self._actor, UNDO_EVENTS_MAX)


def _going(tasks: Mapping[str, Undone]) -> list[str]:
    """The tasks that are there and will not be."""
    return [task for task, undone in tasks.items() if undone.then is None and undone.now is not None]


def _ties(task: Task | None) -> Ties:
    return Ties() if task is None else Ties(task.parent_id, task.needs)


def _has_more(place: Ties, before: Ties) -> bool:
    return place.parent_id not in (None, before.parent_id) or not {*place.needs} <= {*before.needs}
