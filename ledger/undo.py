"""Taking a command back: what its events changed of a task is changed back, by new events through legal transitions. Pure.

History stays. A command is taken back only where nothing that came later stands on it: a later event does where it changed
the same. State, agent and result are one in this, because each transition sets them together; each tag is by itself; and on a
task's creation or removal stands everything. A note changes nothing, so it stands on nothing, and has nothing to be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Final

from msgspec import Struct

from ledger.changes import compare
from ledger.errors import InvalidValueError, NotUndoableError, TaskDamagedError, UndoOvertakenError
from ledger.events import Event, Source, TaskAdopted, TaskCreated
from ledger.position import Position
from ledger.reconcile import DesiredTask, reconcile
from ledger.recorded_event import NewEvent, RecordedEvent, record
from ledger.task import Task, evolve_known

_LIFE: Final = frozenset({"state", "assigned_to", "result"})
"""The fields that transitions set together."""
_EXISTENCE: Final = "existence"
_ACTOR: Final = "undo"


class Undone(Struct, frozen=True):
    """How one task is led back: its version and what it is now, what it becomes, and the events that lead there.

    `cause` is the last event of the command that is taken back. None is a task that is not there. `created_number`
    orders tasks that come back by the age they had.
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
    """How a task with these events, oldest first and all of them, is led back to before `command`; None where that changed nothing.

    That a parent is there and closes no circle, and that no child is left without one, is the caller's to know.
    UndoOvertakenError where a later event stands on the command; NotUndoableError where no legal way leads back; TaskDamagedError.
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
    later = steps[last + 1 :]
    _refuse_overtaken(later, touched, cause)
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
    task: Task | None = None
    for recorded in history:
        before = copy(task)
        task = evolve_known(task, recorded)
        after = copy(task)
        found.append(_Step(recorded, before, after, _touched(before, after)))
    return found


def _touched(before: Task | None, after: Task | None) -> frozenset[str]:
    """What differs between the two, in the parts of which one can stand on another."""
    if before is None or after is None:
        return frozenset() if before is after else frozenset({_EXISTENCE})
    fields = {change.field for change in compare(before, after)}
    tags = {_tag_part(tag) for tag in set(before.tags) ^ set(after.tags)}
    return frozenset((fields - {"tags"}) | tags | (_LIFE if fields & _LIFE else frozenset()))


def _tag_part(tag: str) -> str:
    return f"tag {tag}"


def _refuse_overtaken(later: Sequence[_Step], touched: frozenset[str], cause: RecordedEvent) -> None:
    """UndoOvertakenError for the last of `later` that changed something of what is to be changed back."""
    standing = [step.recorded for step in later if _stands(step, touched)]
    if standing:
        # Only where nothing came after it, taking that back brings the command back.
        is_undo = standing[-1].cause == cause.at
        raise UndoOvertakenError(cause.task, cause.position, standing[-1].position, is_undo=is_undo)


def _stands(step: _Step, touched: frozenset[str]) -> bool:
    """Whether an event changed something of what is to be changed back."""
    return bool(step.touched) and (_EXISTENCE in touched | step.touched or bool(step.touched & touched))


def _refuse_finished(later: Sequence[_Step], now: Task, target: Task, cause: RecordedEvent) -> None:
    """UndoOvertakenError where what is to be changed back is what only an open task takes, and the task has ended since."""
    if all(change.field == "tags" for change in compare(now, target)):
        return
    ending = next(step.recorded for step in reversed(later) if step.touched & _LIFE)
    raise UndoOvertakenError(cause.task, cause.position, ending.position)


def _target(before: Task | None, now: Task | None, touched: frozenset[str]) -> Task | None:
    """The task as it is now, but for what was touched, which is as it was before."""
    target = copy(before if now is None or before is None else now)
    if target is None or before is None or now is None:
        return None if before is None else _held(target)
    for field in touched & set(Task.__struct_fields__):
        setattr(target, field, getattr(before, field))
    tags = {tag for tag in (*before.tags, *now.tags) if tag in (before.tags if _tag_part(tag) in touched else now.tags)}
    target.tags = tuple(sorted(tags))
    return _held(target)


def _held(task: Task | None) -> Task | None:
    """The task, as nobody's where it is pending: an old record may name somebody, and no event does."""
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
    )


def _source(history: Sequence[RecordedEvent]) -> Source:
    """Where the task came from, as far as its creation says."""
    sources = [recorded.data.source for recorded in history if isinstance(recorded.data, TaskCreated)]
    return (sources[-1] if sources else None) or Source.HAND


def _led(now: Task | None, facts: Sequence[Event], last: RecordedEvent) -> Task | None:
    """The task after these facts, which are not in the ledger yet: its times and position are those of `last`."""
    task = copy(now)
    for version, data in enumerate(facts, last.version + 1):
        event = NewEvent(task=last.task, version=version, actor=_ACTOR, command=_ACTOR, data=data)
        task = evolve_known(task, record(event, last.position))
    return task
