"""Reconcile: find the fewest legal events that lead from a task as it is to a desired task. Pure.

Plans, imports and adoption go through here. What they say about a task becomes events; saying it again makes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from ledger.decide import check_links, scheduled
from ledger.errors import InvalidValueError, TaskDamagedError
from ledger.events import (
    Event,
    LinkKind,
    Source,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
)
from ledger.state import State
from ledger.task import Task
from ledger.values import PRIORITY_DEFAULT, Checked


class Schedule(Struct, frozen=True):
    """When a task should be done, and when it may begin; milliseconds since 1970 UTC, None is no time."""

    due_ms: int | None = None
    not_before_ms: int | None = None


NO_SCHEDULE: Final = Schedule()


class Question(Struct, frozen=True):
    """A question to people, what it offers to choose from, and the answer; None if nobody has answered."""

    text: str
    choices: tuple[str, ...] = ()
    answer: str | None = None


class DesiredTask(Checked, frozen=True, kw_only=True):
    """A task as a plan, an import or an old record says it should be.

    A pending task has no agent. An assigned, running, completed or failed one needs an agent, unless the task is in that
    state already. `result` counts in terminal states only, `source` and `asked` only if the task is created. Where `priority`
    or `schedule` is None, or a kind is not in `links`, the task keeps what it has. `links` has the ids of the linked tasks.
    InvalidValueError if a text, name or tag does not fit.
    """

    description: str
    state: State = State.PENDING
    agent: str | None = None
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    alias: str | None = None
    result: str | None = None
    source: Source = Source.HAND
    priority: int | None = None
    schedule: Schedule | None = None
    links: Mapping[LinkKind, tuple[str, ...]] = {}
    asked: Question | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state is State.PENDING and self.agent is not None:
            raise InvalidValueError("agent", "is given for a pending task", "Leave the agent out, or make it assigned.")


def reconcile(task: Task | None, desired: DesiredTask | None) -> list[Event]:
    """The fewest events, oldest first, after which `task` is as `desired`; empty if it is so already.

    `task` is None if it does not exist, `desired` is None if it shall be removed. The caller checks that the parent closes
    no circle, and that no link does or leads to the task itself. A task that was adopted as pending with an agent counts as
    unassigned. InvalidValueError if an agent is needed on the way and `desired` names none, or if the links are too many;
    TaskDamagedError.
    """
    events = _lead_from(task, desired)
    if events and task is not None and task.damaged_at is not None:
        raise TaskDamagedError(task.id, task.damaged_at)
    return events


def _lead_from(task: Task | None, desired: DesiredTask | None) -> list[Event]:
    if desired is None:
        return [] if task is None else [TaskRemoved()]
    if task is None:
        created = TaskCreated(desired.description, desired.tags, desired.parent_id, desired.alias, desired.source)
        return [created, *_classify(None, desired), *_ask(desired.asked), *_lead(State.PENDING, None, desired)]
    tagged = [*_tag(task, desired), *_classify(task, desired)]
    changed = _change_content(task, desired)
    if not task.state.is_terminal:
        return [*tagged, *changed, *_lead(task.state, task.holder, desired)]
    if changed or not _has_ended_so(task, desired):
        return [*tagged, TaskReopened(), *changed, *_lead(State.PENDING, None, desired)]
    return tagged


def _has_ended_so(task: Task, desired: DesiredTask) -> bool:
    return (task.state, task.assigned_to, task.result) == (desired.state, desired.agent, desired.result)


def _tag(task: Task, desired: DesiredTask) -> list[Event]:
    added = tuple(sorted(set(desired.tags) - set(task.tags)))
    removed = tuple(sorted(set(task.tags) - set(desired.tags)))
    return [TaskTagged(added, removed)] if added or removed else []


def _classify(task: Task | None, desired: DesiredTask) -> Iterator[Event]:
    """Priority, times and links, which a task takes in every state."""
    priority = PRIORITY_DEFAULT if task is None else task.priority
    if desired.priority not in (None, priority):
        yield TaskPrioritised(desired.priority)
    schedule = NO_SCHEDULE if task is None else Schedule(task.due_ms, task.not_before_ms)
    if desired.schedule is not None and desired.schedule != schedule:
        yield scheduled(desired.schedule.due_ms, desired.schedule.not_before_ms)
    check_links(sum(len({*_wanted(task, desired, kind)}) for kind in LinkKind))
    for kind, wanted in desired.links.items():
        linked = () if task is None else task.links(kind)
        yield from (TaskUnlinked(kind, to) for to in linked if to not in wanted)
        yield from (TaskLinked(kind, to) for to in dict.fromkeys(wanted) if to not in linked)


def _wanted(task: Task | None, desired: DesiredTask, kind: LinkKind) -> tuple[str, ...]:
    return desired.links.get(kind, () if task is None else task.links(kind))


def _ask(asked: Question | None) -> Iterator[Event]:
    if asked is not None:
        yield TaskAsked(asked.text, asked.choices)
        if asked.answer is not None:
            yield TaskAnswered(asked.answer)


def _change_content(task: Task, desired: DesiredTask) -> list[Event]:
    """What only an open task accepts."""
    events: list[Event] = []
    if task.description != desired.description:
        events.append(TaskDescribed(desired.description))
    if task.parent_id != desired.parent_id:
        events.append(TaskMoved(desired.parent_id))
    return events


def _lead(state: State, agent: str | None, desired: DesiredTask) -> list[Event]:
    """The events from an open state with `agent` to the desired state and agent."""
    match desired.state:
        case State.PENDING:
            return [] if state is State.PENDING else [TaskRequeued()]
        case State.ASSIGNED:
            is_so = state is State.ASSIGNED and agent == desired.agent
            return [] if is_so else [_assigned(desired)]
        case State.CANCELLED:
            return [*_lead_to_agent(agent, desired.agent), TaskCancelled(desired.result)]
        case State.RUNNING:
            return _lead_to_running(state, agent, desired)
        case State.COMPLETED:
            return [*_lead_to_running(state, agent, desired), TaskCompleted(desired.result)]
        case State.FAILED:
            return [*_lead_to_running(state, agent, desired), TaskFailed(desired.result)]


def _lead_to_agent(agent: str | None, desired: str | None) -> list[Event]:
    if agent == desired:
        return []
    return [TaskRequeued()] if desired is None else [TaskAssigned(desired)]


def _lead_to_running(state: State, agent: str | None, desired: DesiredTask) -> list[Event]:
    if agent != desired.agent or state is State.PENDING:
        return [_assigned(desired), TaskStarted()]
    return [] if state is State.RUNNING else [TaskStarted()]


def _assigned(desired: DesiredTask) -> TaskAssigned:
    if desired.agent is None:
        raise InvalidValueError("agent", f"is missing: a task becomes {desired.state} by somebody", "Name the agent.")
    return TaskAssigned(desired.agent)
