"""What a command leads to: (state, command) -> new events, or a refusal. Pure.

The states and transitions are Tinytown's. The ledger always follows them: completing an assigned task also records that it
was started. A command whose result is already there leads to no event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ledger.commands import (
    AnswerTask,
    AskTask,
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CompleteTask,
    CreateTask,
    DescribeTask,
    FailTask,
    LinkTask,
    MoveTask,
    NoteTask,
    PrioritiseTask,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    ScheduleTask,
    StartTask,
    TagTask,
    UnlinkTask,
)
from ledger.errors import (
    CircularNeedsError,
    InvalidValueError,
    NoOpenQuestionError,
    NotAChoiceError,
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
    LinkKind,
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
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
)
from ledger.run_mark import RunMark
from ledger.state import State
from ledger.task import Task
from ledger.times import format_ms
from ledger.transitions import STATES
from ledger.values import PRIORITY_DEFAULT

_CHOICE_DIGITS_MAX: Final = 2
LINKS_MAX: Final = 1_000
"""How many links a task has at most, of all kinds together."""


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
    _refuse_circle(command.circle, new=command)
    _refuse_links(command.task_id, command.needs, LINKS_MAX)
    events: list[Event] = [TaskCreated(command.description, command.tags, command.parent_id, command.alias)]
    if command.priority != PRIORITY_DEFAULT:
        events.append(TaskPrioritised(command.priority))
    if command.due_ms is not None or command.not_before_ms is not None:
        events.append(scheduled(command.due_ms, command.not_before_ms))
    events += [TaskLinked(LinkKind.NEEDS, to) for to in dict.fromkeys(command.needs)]
    return events if command.agent is None else [*events, TaskAssigned(command.agent)]


def _is_as_created(task: Task, command: CreateTask) -> bool:
    return (
        (task.description, task.tags, task.parent_id, task.alias)
        == (command.description, command.tags, command.parent_id, command.alias)
        and (task.priority, task.due_ms, task.not_before_ms)
        == (command.priority, command.due_ms, command.not_before_ms)
        and task.needs == tuple(sorted({*command.needs}))
        and command.agent in (None, task.assigned_to)
    )


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
    _refuse_circle(command.circle)
    return [TaskMoved(command.parent_id)]


def _note(_task: Task, command: NoteTask) -> list[Event]:
    return [TaskNoted(command.text)]


def _prioritise(task: Task, command: PrioritiseTask) -> list[Event]:
    return [] if task.priority == command.priority else [TaskPrioritised(command.priority)]


def _schedule(task: Task, command: ScheduleTask) -> list[Event]:
    if (task.due_ms, task.not_before_ms) == (command.due_ms, command.not_before_ms):
        return []
    return [scheduled(command.due_ms, command.not_before_ms)]


def _link(task: Task, command: LinkTask) -> list[Event]:
    new = [to for to in dict.fromkeys(command.to) if to not in task.links(command.kind)]
    if new:
        _refuse_circle(command.circle)
    _refuse_links(task.id, new, LINKS_MAX - sum(len(task.links(kind)) for kind in LinkKind))
    return [TaskLinked(command.kind, to) for to in new]


def _unlink(task: Task, command: UnlinkTask) -> list[Event]:
    kinds = LinkKind if command.kind is None else (command.kind,)
    return [TaskUnlinked(kind, to) for to in dict.fromkeys(command.to) for kind in kinds if to in task.links(kind)]


def _ask(task: Task, command: AskTask) -> list[Event]:
    _require_open(task, TaskAsked)
    is_asked = task.has_open_question and (task.question, task.choices) == (command.question, command.choices)
    events: list[Event] = [] if is_asked else [TaskAsked(command.question, command.choices)]
    return [*events, TaskRequeued()] if task.state in STATES[TaskRequeued] else events


def _answer(task: Task, command: AnswerTask) -> list[Event]:
    if not task.has_open_question:
        is_so = task.answer is not None and task.answer in (command.answer, _choice(task, command.answer))
        if is_so and not task.state.is_terminal:
            return []
        raise NoOpenQuestionError(task.id)
    if not task.choices or command.is_other:
        return [TaskAnswered(command.answer)]
    choice = _choice(task, command.answer)
    if choice is None:
        raise NotAChoiceError(task.id, command.answer, task.choices)
    return [TaskAnswered(choice)]


def _choice(task: Task, answer: str) -> str | None:
    """The choice that is meant: spelled as it is, or but for capitals, or by its number from 1 on; None if none is."""
    answer = answer.strip()
    if answer in task.choices:
        return answer
    alike = [choice for choice in task.choices if choice.casefold() == answer.casefold()]
    if len(alike) == 1:
        return alike[0]
    is_number = answer.isascii() and answer.isdigit() and len(answer) <= _CHOICE_DIGITS_MAX
    return task.choices[int(answer) - 1] if is_number and 1 <= int(answer) <= len(task.choices) else None


def scheduled(due_ms: int | None, not_before_ms: int | None) -> TaskScheduled:
    """The fact with these times, milliseconds since 1970 UTC."""
    return TaskScheduled(*(None if ms is None else format_ms(ms) for ms in (due_ms, not_before_ms)))


def _refuse_circle(circle: tuple[str, ...], *, new: CreateTask | None = None) -> None:
    if circle:
        raise CircularNeedsError(
            circle, new=None if new is None else new.task_id, alias=None if new is None else new.alias
        )


def _refuse_links(task_id: str, new: Sequence[str], room: int) -> None:
    """InvalidValueError if one of the new links leads to the task itself, or if they are too many."""
    if task_id in new:
        raise InvalidValueError("link", "leads from the task to itself", "Name another task.")
    check_links(LINKS_MAX - room + len(new))


def check_links(count: int) -> None:
    """InvalidValueError if a task would have so many links that they are too many."""
    if count > LINKS_MAX:
        raise InvalidValueError(
            "links", f"of the task would be more than {LINKS_MAX:,}", "Link to a task that stands for several."
        )


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
    PrioritiseTask: _prioritise,
    ScheduleTask: _schedule,
    LinkTask: _link,
    UnlinkTask: _unlink,
    AskTask: _ask,
    AnswerTask: _answer,
    RemoveTask: _remove,
}
