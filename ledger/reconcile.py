"""From a task as it is to a task as wished, in the fewest legal events. Pure.

Plans, imports and adoption go through here: what they say of a task becomes facts, and saying it again becomes none.
"""

from __future__ import annotations

from ledger.errors import InvalidValueError, TaskDamagedError
from ledger.events import (
    Event,
    Source,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskMoved,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
)
from ledger.state import State
from ledger.task import Task
from ledger.values import Checked


class DesiredTask(Checked, frozen=True, kw_only=True):
    """A task as somebody outside the ledger says it should be.

    A pending task has no agent; an assigned, running, completed or failed one has, unless it was adopted so and nothing
    has to lead there. `result` counts in terminal states only, `source` where the task is made. InvalidValueError where a
    text, name or tag does not fit.
    """

    description: str
    state: State = State.PENDING
    agent: str | None = None
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    alias: str | None = None
    result: str | None = None
    source: Source = Source.HAND

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state is State.PENDING and self.agent is not None:
            raise InvalidValueError("agent", "is given for a pending task", "Wish it assigned, or without an agent.")


def reconcile(task: Task | None, wished: DesiredTask | None) -> list[Event]:
    """The fewest events, oldest first, after which `task` is as `wished`; empty where it is so already.

    None means that the task is not there, or is to be removed. A parent is taken as given: that no circle closes is
    the caller's to know. A task that was adopted pending and with an agent counts as nobody's. InvalidValueError where
    somebody has to have the task on the way, and the wish names nobody; TaskDamagedError.
    """
    events = _lead_from(task, wished)
    if events and task is not None and task.damaged_at is not None:
        raise TaskDamagedError(task.id, task.damaged_at)
    return events


def _lead_from(task: Task | None, wished: DesiredTask | None) -> list[Event]:
    if wished is None:
        return [] if task is None else [TaskRemoved()]
    if task is None:
        created = TaskCreated(wished.description, wished.tags, wished.parent_id, wished.alias, wished.source)
        return [created, *_lead(State.PENDING, None, wished)]
    tagged = _tag(task, wished)
    changed = _change_content(task, wished)
    if not task.state.is_terminal:
        return [*tagged, *changed, *_lead(task.state, task.holder, wished)]
    if changed or not _has_ended_so(task, wished):
        return [*tagged, TaskReopened(), *changed, *_lead(State.PENDING, None, wished)]
    return tagged


def _has_ended_so(task: Task, wished: DesiredTask) -> bool:
    return (task.state, task.assigned_to, task.result) == (wished.state, wished.agent, wished.result)


def _tag(task: Task, wished: DesiredTask) -> list[Event]:
    added = tuple(sorted(set(wished.tags) - set(task.tags)))
    removed = tuple(sorted(set(task.tags) - set(wished.tags)))
    return [TaskTagged(added, removed)] if added or removed else []


def _change_content(task: Task, wished: DesiredTask) -> list[Event]:
    """What only an open task accepts."""
    events: list[Event] = []
    if task.description != wished.description:
        events.append(TaskDescribed(wished.description))
    if task.parent_id != wished.parent_id:
        events.append(TaskMoved(wished.parent_id))
    return events


def _lead(state: State, agent: str | None, wished: DesiredTask) -> list[Event]:
    """From an open state with `agent` to the wished state with the wished agent."""
    match wished.state:
        case State.PENDING:
            return [] if state is State.PENDING else [TaskRequeued()]
        case State.ASSIGNED:
            is_so = state is State.ASSIGNED and agent == wished.agent
            return [] if is_so else [_assigned(wished)]
        case State.CANCELLED:
            return [*_lead_to_agent(agent, wished.agent), TaskCancelled(wished.result)]
        case State.RUNNING:
            return _lead_to_running(state, agent, wished)
        case State.COMPLETED:
            return [*_lead_to_running(state, agent, wished), TaskCompleted(wished.result)]
        case State.FAILED:
            return [*_lead_to_running(state, agent, wished), TaskFailed(wished.result)]


def _lead_to_agent(agent: str | None, wished: str | None) -> list[Event]:
    if agent == wished:
        return []
    return [TaskRequeued()] if wished is None else [TaskAssigned(wished)]


def _lead_to_running(state: State, agent: str | None, wished: DesiredTask) -> list[Event]:
    if agent != wished.agent or state is State.PENDING:
        return [_assigned(wished), TaskStarted()]
    return [] if state is State.RUNNING else [TaskStarted()]


def _assigned(wished: DesiredTask) -> TaskAssigned:
    if wished.agent is None:
        raise InvalidValueError("agent", f"is missing: a task becomes {wished.state} by somebody", "Name the agent.")
    return TaskAssigned(wished.agent)
