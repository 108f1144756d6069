"""What a command leads to: (state, command) -> new events, or a refusal. Pure.

The states and transitions are Tinytown's. The ledger always follows them: completing an assigned task also records that it
was started. A command whose result is already there leads to no event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.commands import (
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CompleteTask,
    CreateTask,
    DescribeTask,
    FailTask,
    MoveTask,
    NoteTask,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    StartTask,
    TagTask,
)
from ledger.errors import (
    TaskAlreadyExistsError,
    TaskCycleError,
    TaskDamagedError,
    TaskFinishedError,
    TaskHasChildrenError,
    TaskHasOpenChildrenError,
    TaskHeldError,
    TaskNotFinishedError,
    TaskNotFoundError,
    TaskNotInBacklogError,
    TaskUnassignedError,
)
from ledger.events import (
    Event,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskMoved,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
)
from ledger.run_mark import RunMark
from ledger.state import State
from ledger.task import Task
from ledger.transitions import STATES


def decide(task: Task | None, command: Command) -> list[Event]:
    """The events that fulfil `command`, oldest first; empty where it is already true.

    `task` is None where it does not exist or was removed. CommandRejectedError says why not; TaskDamagedError.
    """
    if task is not None and task.damaged_at is not None:
        raise TaskDamagedError(task.id, task.damaged_at)
    if isinstance(command, CreateTask):
        return _create(task, command)
    if task is None:
        raise TaskNotFoundError(command.task_id)
    return _DECISIONS[type(command)](task, command)


def _create(task: Task | None, command: CreateTask) -> list[Event]:
    if task is not None:
        if _is_as_created(task, command):
            return []
        raise TaskAlreadyExistsError(task.id, task.alias)
    if command.parent_id is not None and command.task_id in (command.parent_id, *command.lineage):
        # It was removed, and its own children are still below it.
        raise TaskCycleError(command.task_id, command.parent_id)
    created = TaskCreated(command.description, command.tags, command.parent_id, command.alias)
    return [created] if command.agent is None else [created, TaskAssigned(command.agent)]


def _is_as_created(task: Task, command: CreateTask) -> bool:
    return (task.description, task.tags, task.parent_id, task.alias) == (
        command.description,
        command.tags,
        command.parent_id,
        command.alias,
    ) and command.agent in (None, task.assigned_to)


def _assign(task: Task, command: AssignTask) -> list[Event]:
    _require_open(task, TaskAssigned)
    return [] if task.holder == command.agent else [TaskAssigned(command.agent)]


def _claim(task: Task, command: ClaimTask) -> list[Event]:
    _require_open(task, TaskAssigned)
    _require_holder(task, command.agent)
    return [] if task.holder == command.agent else [TaskAssigned(command.agent)]


def _start(task: Task, command: StartTask) -> list[Event]:
    _require_open(task, TaskAssigned)
    return _lead_to_running(task, command.agent, "start", command.run)


def _complete(task: Task, command: CompleteTask) -> list[Event]:
    if task.state is State.COMPLETED and task.result == command.result and command.agent in (None, task.assigned_to):
        return []
    _require_open(task, TaskAssigned)
    events = [*_lead_to_running(task, command.agent, "complete"), TaskCompleted(command.result)]
    if command.open_children:
        raise TaskHasOpenChildrenError(task.id, command.open_children)
    return events


def _fail(task: Task, command: FailTask) -> list[Event]:
    if task.state is State.FAILED and task.result == command.error and command.agent in (None, task.assigned_to):
        return []
    _require_open(task, TaskAssigned)
    return [*_lead_to_running(task, command.agent, "fail"), TaskFailed(command.error)]


def _cancel(task: Task, command: CancelTask) -> list[Event]:
    if task.state is State.CANCELLED and task.result == command.reason:
        return []
    _require_open(task, TaskCancelled)
    return [TaskCancelled(command.reason)]


def _requeue(task: Task, command: RequeueTask) -> list[Event]:
    _require_open(task, TaskAssigned)
    requeued: list[Event] = [TaskRequeued()] if task.state in STATES[TaskRequeued] else []
    return requeued if command.agent is None else [*requeued, TaskAssigned(command.agent)]


def _reopen(task: Task, _command: ReopenTask) -> list[Event]:
    if task.state is State.PENDING:
        return []
    if task.state not in STATES[TaskReopened]:
        raise TaskNotFinishedError(task.id, task.state)
    return [TaskReopened()]


def _describe(task: Task, command: DescribeTask) -> list[Event]:
    if task.description == command.description:
        return []
    _require_open(task, TaskDescribed)
    return [TaskDescribed(command.description)]


def _tag(task: Task, command: TagTask) -> list[Event]:
    added = tuple(tag for tag in command.added if tag not in task.tags)
    removed = tuple(tag for tag in command.removed if tag in task.tags)
    return [TaskTagged(added, removed)] if added or removed else []


def _move(task: Task, command: MoveTask) -> list[Event]:
    if task.parent_id == command.parent_id:
        return []
    _require_open(task, TaskMoved)
    if command.parent_id is not None and task.id in (command.parent_id, *command.lineage):
        raise TaskCycleError(task.id, command.parent_id)
    return [TaskMoved(command.parent_id)]


def _note(_task: Task, command: NoteTask) -> list[Event]:
    return [TaskNoted(command.text)]


def _remove(task: Task, command: RemoveTask) -> list[Event]:
    if command.is_from_backlog and task.state is not State.PENDING:
        raise TaskNotInBacklogError(task.id, task.state)
    if command.children:
        raise TaskHasChildrenError(task.id, command.children)
    return [TaskRemoved()]


def _lead_to_running(task: Task, agent: str | None, action: str, run: RunMark | None = None) -> list[Event]:
    """What comes before `action`, so that the ledger shows an open task assigned and started."""
    if agent is not None:
        _require_holder(task, agent)
        if task.holder is None:
            # An adopted record may be assigned or running without an agent.
            return [TaskAssigned(agent), TaskStarted(run)]
    if task.state in STATES[TaskCompleted]:
        return []
    if task.state in STATES[TaskStarted]:
        return [TaskStarted(run)]
    raise TaskUnassignedError(task.id, action)


def _require_open(task: Task, fact: type[Event]) -> None:
    """TaskFinishedError unless the task takes `fact`, which every open task does."""
    if task.state not in STATES[fact]:
        raise TaskFinishedError(task.id, task.state)


def _require_holder(task: Task, agent: str) -> None:
    if task.holder not in (None, agent):
        raise TaskHeldError(task.id, holder=str(task.holder), agent=agent)


_DECISIONS: Final[dict[type[Command], Callable[[Task, Any], list[Event]]]] = {
    AssignTask: _assign,
    ClaimTask: _claim,
    StartTask: _start,
    CompleteTask: _complete,
    FailTask: _fail,
    CancelTask: _cancel,
    RequeueTask: _requeue,
    ReopenTask: _reopen,
    DescribeTask: _describe,
    TagTask: _tag,
    MoveTask: _move,
    NoteTask: _note,
    RemoveTask: _remove,
}
