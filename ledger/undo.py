"""Taking a command back: what its events changed of a task is changed back, by new events through legal transitions. Pure.

History stays. A command is taken back only if no later event stands on it: a later event does if it changed the same.
State, agent and result count as one, because each transition sets them together, and so do the two times that a task has;
each tag and each link counts by itself; and everything stands on a task's creation or removal. A note changes nothing, so it
stands on nothing and cannot be taken back, nor can a question or an answer, which somebody may have read. A later
command that was itself taken back stands on nothing, and nor does what took it back: together they changed nothing. So
several commands are taken back one after another, the newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import groupby
from typing import Final

from msgspec import Struct

from ledger.changes import compare
from ledger.errors import InvalidValueError, NotUndoableError, TaskDamagedError, UndoOvertakenError
from ledger.events import Event, LinkKind, Source, TaskAdopted, TaskAnswered, TaskAsked, TaskCreated
from ledger.position import Position
from ledger.reconcile import DesiredTask, Question, Schedule, reconcile
from ledger.recorded_event import NewEvent, RecordedEvent, record
from ledger.task import FIELDS, Task, evolve_known

_LIFE: Final = frozenset({"state", "assigned_to", "result"})
"""The fields that transitions set together."""
_SETS: Final = ("tags", *LinkKind)
"""The fields of which each value counts by itself."""
_SCHEDULE: Final = frozenset({"due", "not_before"})
"""The fields that one event sets together."""
_OF_EVERY_STATE: Final = frozenset({*_SETS, *_SCHEDULE, "priority"})
"""The fields that change in every state of a task."""
_EXISTENCE: Final = "existence"
_ACTOR: Final = "undo"


class Undone(Struct, frozen=True):
    """How one task is led back: its version and what it is now, what it becomes, and the events that lead there.

    `cause` is the last event of the command that is taken back. None means that there is no task. `created_number`
    orders the tasks that come back by their earlier age.
    """

    task_id: str
    version: int
    now: Task | None
    then: Task | None
    desired: DesiredTask | None
    events: tuple[Event, ...]
    cause: Position
    created_number: int = 0


class _Step(Struct, frozen=True):
    """An event, and what it changed."""

    recorded: RecordedEvent
    before: Task | None
    after: Task | None
    touched: frozenset[str]


def undo(history: Sequence[RecordedEvent], command: str) -> Undone | None:
    """How a task is led back to before `command`; None if the command changed nothing. `history` is all its events, oldest first.

    The caller checks that a parent exists and closes no circle, and that no child is left without its parent.
    UndoOvertakenError if a later event stands on the command; NotUndoableError if no legal way leads back; TaskDamagedError.
    """
    steps = _steps(history)
    own = [number for number, step in enumerate(steps) if step.recorded.command == command]
    assert own, "the command is one of this history"
    first, last = own[0], own[-1]
    before, after, now = steps[first].before, steps[last].after, steps[-1].after
    cause = steps[last].recorded
    damaged = next((task for task in (now, after) if task is not None and task.damaged_at is not None), None)
    if damaged is not None:
        raise TaskDamagedError(damaged.id, damaged.damaged_at or "")
    touched = _touched(before, after)
    if not touched:
        return None
    if any(type(steps[number].recorded.data) is TaskAdopted for number in own):
        raise NotUndoableError(cause.position, "took in a task from before the ledger, whose old record is set aside")
    if _EXISTENCE not in touched:
        _refuse_said(steps[number].recorded for number in own)
    later = steps[last + 1 :]
    _refuse_overtaken(later, touched, cause, taken_back=_taken_back(steps))
    target = _target(before, now, touched)
    if now is not None and target is not None and now.state.is_terminal and not touched & _LIFE:
        _refuse_finished(later, now, target, cause)
    desired = None if target is None else _desired(target, _source(history))
    try:
        facts = reconcile(now, desired)
    except InvalidValueError as error:
        raise NotUndoableError(cause.position, f"cannot be led back: the {error.what} {error.problem}") from error
    then = _led(now, facts, steps[-1].recorded)
    if compare(target, then):
        fields = ", ".join(change.field for change in compare(target, then))
        raise NotUndoableError(cause.position, f"cannot be led back: no event gives {fields} its earlier value")
    return Undone(
        task_id=cause.task,
        version=steps[-1].recorded.version,
        now=now,
        then=then,
        desired=desired,
        events=tuple(facts),
        cause=cause.position,
        created_number=0 if target is None else target.created_number or 0,
    )


def _steps(history: Sequence[RecordedEvent]) -> list[_Step]:
    found: list[_Step] = []
    before: Task | None = None
    for recorded in history:
        after = evolve_known(copy(before), recorded)
        found.append(_Step(recorded, before, after, _touched(before, after)))
        before = after
    return found


def _touched(before: Task | None, after: Task | None) -> frozenset[str]:
    """The parts that differ between the two; a later event stands on an earlier one if they touch the same part."""
    if before is None or after is None:
        return frozenset() if before is after else frozenset({_EXISTENCE})
    fields = {change.field for change in compare(before, after)}
    values = {_part(name, value) for name in _SETS for value in set(getattr(before, name)) ^ set(getattr(after, name))}
    together = [each for each in (_LIFE, _SCHEDULE) if fields & each]
    return frozenset((fields - {*_SETS}) | values).union(*together)


def _part(name: str, value: str) -> str:
    """One value of a field of `_SETS`."""
    return f"{name} {value}"


def _refuse_said(own: Iterable[RecordedEvent]) -> None:
    """NotUndoableError for a question or an answer."""
    for recorded in own:
        if isinstance(recorded.data, TaskAsked | TaskAnswered):
            what = "a question" if isinstance(recorded.data, TaskAsked) else "an answer"
            raise NotUndoableError(recorded.position, f"is {what} that somebody may have read")


def _taken_back(steps: Sequence[_Step]) -> dict[str, RecordedEvent]:
    """Command -> the last event of the command that took it back, of those that are taken back now.

    An undo that is itself taken back takes nothing back, so the newest command is looked at first.
    """
    spans = [list(group) for _, group in groupby(steps, key=lambda step: step.recorded.command)]
    by_end = {span[-1].recorded.at: span for span in spans}
    found: dict[str, RecordedEvent] = {}
    for span in reversed(spans):
        last = span[-1].recorded
        undone = None if last.cause is None or last.command in found else by_end.get(last.cause)
        # `cause` says what led here; only the values say that it was taken back.
        if undone is not None and not _touched(undone[0].before, span[-1].after) & _span_touched(undone):
            found[undone[0].recorded.command] = last
    return found


def _span_touched(span: Sequence[_Step]) -> frozenset[str]:
    return _touched(span[0].before, span[-1].after)


def _refuse_overtaken(
    later: Sequence[_Step], touched: frozenset[str], cause: RecordedEvent, *, taken_back: Mapping[str, RecordedEvent]
) -> None:
    """UndoOvertakenError for the last of `later` that stands on what is to be changed back, or that changed it back already."""
    # Only if both came later, or the first is this command: an undo of something earlier changed what this command left.
    inside = {cause.command, *(step.recorded.command for step in later)}
    gone = {each for command, undo in taken_back.items() if command in inside for each in (command, undo.command)}
    standing = [step.recorded for step in later if step.recorded.command not in gone and _stands(step, touched)]
    if standing:
        raise UndoOvertakenError(cause.task, cause.position, standing[-1].position)
    if cause.command in taken_back:
        raise UndoOvertakenError(cause.task, cause.position, taken_back[cause.command].position, is_undo=True)


def _stands(step: _Step, touched: frozenset[str]) -> bool:
    """Whether an event changed a part of what is to be changed back."""
    return bool(step.touched) and (_EXISTENCE in touched | step.touched or bool(step.touched & touched))


def _refuse_finished(later: Sequence[_Step], now: Task, target: Task, cause: RecordedEvent) -> None:
    """UndoOvertakenError if only an open task takes what is to be changed back, and the task has ended since."""
    if all(change.field in _OF_EVERY_STATE for change in compare(now, target)):
        return
    # Without one, the command itself opened the task for the change and ended it again, and it is led back the same way.
    ending = next((step.recorded for step in reversed(later) if step.touched & _LIFE), None)
    if ending is not None:
        raise UndoOvertakenError(cause.task, cause.position, ending.position)


def _target(before: Task | None, now: Task | None, touched: frozenset[str]) -> Task | None:
    """The task as it is now, except that what was touched is as it was before."""
    if before is None or now is None:
        return _held(copy(before))
    target = copy(now)
    for field in FIELDS:
        if field.name in touched:
            setattr(target, field.attribute, getattr(before, field.attribute))
    for name in _SETS:
        then, today = getattr(before, name), getattr(now, name)
        kept = {each for each in (*then, *today) if each in (then if _part(name, each) in touched else today)}
        setattr(target, name, tuple(sorted(kept)))
    return _held(target)


def _held(task: Task | None) -> Task | None:
    """The task, without an agent if it is pending: an old record may name one, but no event does."""
    if task is not None:
        task.assigned_to = task.holder
    return task


def _desired(task: Task, source: Source) -> DesiredTask:
    return DesiredTask(
        description=task.description,
        state=task.state,
        agent=task.assigned_to,
        tags=task.tags,
        parent_id=task.parent_id,
        alias=task.alias,
        result=task.result if task.state.is_terminal else None,
        source=source,
        priority=task.priority,
        schedule=Schedule(task.due_ms, task.not_before_ms),
        links={kind: task.links(kind) for kind in LinkKind},
        asked=None if task.question is None else Question(task.question, task.choices, task.answer),
    )


def _source(history: Sequence[RecordedEvent]) -> Source:
    """Where the task came from, if its creation says so."""
    sources = [recorded.data.source for recorded in history if isinstance(recorded.data, TaskCreated)]
    return (sources[-1] if sources else None) or Source.HAND


def _led(now: Task | None, facts: Sequence[Event], last: RecordedEvent) -> Task | None:
    """The task after these facts, which are not in the ledger yet; its times and position are those of `last`."""
    task = copy(now)
    for version, data in enumerate(facts, last.version + 1):
        event = NewEvent(task=last.task, version=version, actor=_ACTOR, command=_ACTOR, data=data)
        task = evolve_known(task, record(event, last.position))
    return task
