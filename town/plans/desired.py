"""What a plan means for a task as it is: the desired state, and the fields that stay in spite of the plan. Pure.

A file is a plan, not the truth. The plan decides what to do, and in which order: description, priority, times, tags, parent
and needs. The town knows the progress:
without force, a push takes back nothing that happened, neither a state nor an agent nor a result.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Struct

from ledger import DesiredTask, LinkKind, Schedule, Source, State, Task, to_ms
from town.plans.plan import PlannedTask

_RANKS: Final = {
    State.PENDING: 0,
    State.ASSIGNED: 1,
    State.RUNNING: 2,
    State.COMPLETED: 3,
    State.FAILED: 3,
    State.CANCELLED: 3,
}


_SOMEBODYS: Final = frozenset({State.ASSIGNED, State.RUNNING, State.COMPLETED, State.FAILED})
"""The states that need an agent."""


class Kept(Struct, frozen=True):
    """A field of a task that stays as it is in the town, although the plan says otherwise."""

    field: str
    town: str | None
    plan: str | None


class _Progress(NamedTuple):
    state: State
    agent: str | None
    result: str | None


def desired(
    planned: PlannedTask,
    task: Task | None,
    *,
    alias: str | None,
    parent_id: str | None,
    needs: tuple[str, ...] = (),
    default_agent: str | None,
    actor: str,
    is_forced: bool = False,
) -> tuple[DesiredTask, tuple[Kept, ...]]:
    """The desired task, given the task as it is (None: not there), and the fields that stay in spite of the plan.

    `default_agent` gets a task without an agent if the plan names none. `actor` gets one whose state needs an agent.
    """
    progress = _desired_progress(planned, task, default_agent, actor)
    description = planned.description
    kept: list[Kept] = []
    if task is not None and not is_forced:
        progress = _without_going_back(task, progress, kept, said=planned.status)
        if task.state.is_terminal:
            description = _unchanged(kept, "description", task.description, description) or description
            parent_id = _unchanged(kept, "parent", task.parent_id, parent_id)
    if progress.agent is None and progress.state in _SOMEBODYS and not _is_so(task, progress, description, parent_id):
        # A task adopted without an agent stays so, unless an event has to lead to the desired state.
        progress = progress._replace(agent=default_agent or actor)
    target = DesiredTask(
        description=description,
        state=progress.state,
        agent=progress.agent,
        tags=planned.tags,
        parent_id=parent_id,
        alias=alias,
        result=progress.result,
        source=Source.PLAN,
        priority=planned.priority,
        schedule=Schedule(
            due_ms=None if planned.due is None else to_ms(planned.due),
            not_before_ms=None if planned.not_before is None else to_ms(planned.not_before),
        ),
        links={LinkKind.NEEDS: tuple(sorted(needs))},
    )
    return target, tuple(kept)


def _desired_progress(planned: PlannedTask, task: Task | None, default_agent: str | None, actor: str) -> _Progress:
    """State, agent and result by the plan; where the plan is silent, the task's present ones."""
    holder = None if task is None else task.holder
    state = planned.status or (State.PENDING if task is None else task.state)
    agent = _desired_agent(planned, state, task, default_agent, actor)
    if state is State.PENDING and agent is not None:
        state = State.ASSIGNED
    elif planned.status is None and planned.agent is not None and agent is None and holder is not None:
        # The plan says only that nobody has it.
        state = State.PENDING
    if not state.is_terminal:
        return _Progress(state, agent, None)
    has_ended_so = task is not None and task.state is state
    return _Progress(state, agent, planned.result or (task.result if task is not None and has_ended_so else None))


def _desired_agent(
    planned: PlannedTask, state: State, task: Task | None, default_agent: str | None, actor: str
) -> str | None:
    if planned.agent is not None:
        return planned.agent or None
    holder = None if task is None else task.holder
    if task is not None and task.state is state and state in _SOMEBODYS:
        return holder
    match state:
        case State.PENDING:
            # A default agent is for tasks without an agent; others keep theirs.
            return None if default_agent is None else holder or default_agent
        case State.CANCELLED:
            return holder
        case _:
            return holder or default_agent or actor


def _without_going_back(task: Task, target: _Progress, kept: list[Kept], *, said: State | None) -> _Progress:
    now = _Progress(task.state, task.holder, task.result)
    if _RANKS[target.state] < _RANKS[task.state]:
        kept.append(Kept("status", str(task.state), str(said or target.state)))
        return now
    if task.state.is_terminal:
        _unchanged(kept, "status", str(now.state), str(target.state))
        _unchanged(kept, "agent", now.agent, target.agent)
        _unchanged(kept, "result", now.result, target.result)
        return now
    is_taken_away = target.agent is None or task.state is State.RUNNING
    if task.holder is not None and is_taken_away:
        return target._replace(agent=_unchanged(kept, "agent", task.holder, target.agent))
    return target


def _is_so(task: Task | None, target: _Progress, description: str, parent_id: str | None) -> bool:
    """Whether the task has that progress already and keeps it: nothing else reopens a finished task either."""
    if task is None or (task.state, task.holder) != (target.state, target.agent):
        return False
    now = (task.result, task.description, task.parent_id)
    return not task.state.is_terminal or now == (target.result, description, parent_id)


def _unchanged(kept: list[Kept], field: str, town: str | None, plan: str | None) -> str | None:
    """The town's value, noted in `kept` if the plan has another."""
    if town != plan:
        kept.append(Kept(field, town, plan))
    return town
