"""The edits after which a plan's file shows the town as it is. Pure: a plan and the town's tasks in, edits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger import State, Task
from town.plans.plan import BRING_BACK, NOBODY, Plan, PlanFault, PlannedTask, Value, is_uuid


class PullEdits(NamedTuple):
    """The edits of a file: new values of tasks by their number, tasks to drop, and tasks to add at the end."""

    changed: dict[int, dict[str, Value]]
    dropped: list[int]
    added: dict[str, dict[str, Value]]
    """Task id -> the values of its new table, in the order of the file."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.dropped or self.added)


def pull_edits(
    plan: Plan,
    task_ids: Sequence[str],
    parents: Sequence[str | None],
    *,
    board: Mapping[str, Task],
    removed: frozenset[str],
) -> PullEdits:
    """The fewest edits after which the plan shows the town.

    `tasks` and `parents` are the task ids behind the plan's ids and parents, in their order. `board` has the town's tasks,
    oldest first, and `removed` those of `tasks` that were removed. Tasks that the town never had are left alone.
    """
    names = {
        task_id: planned.id for task_id, planned in zip(task_ids, plan.tasks, strict=True) if task_id not in removed
    }
    missing = [task for task in board.values() if task.id not in names]
    names |= {task.id: _name(task) for task in missing}
    changed = {
        number: values
        for number, (planned, task_id, parent) in enumerate(zip(plan.tasks, task_ids, parents, strict=True))
        if (found := board.get(task_id)) is not None and (values := _changes(plan, planned, parent, found, names))
    }
    dropped = [number for number, task_id in enumerate(task_ids) if task_id in removed]
    return PullEdits(changed, dropped, {task.id: _table(plan, task, names) for task in missing})


def faults_of_pull(
    plan: Plan, task_ids: Sequence[str], edits: PullEdits, *, board: Mapping[str, Task]
) -> list[PlanFault]:
    """The faults of tasks that the town never had and whose parents are dropped: the user has to revise the plan first."""
    index, gone = plan.index(), frozenset(edits.dropped)
    return [
        PlanFault(f"its parent {planned.parent!r} was removed from the town; {BRING_BACK}", number, "parent")
        for number, planned in enumerate(plan.tasks)
        if task_ids[number] not in board and number not in gone and index.get(planned.parent or "") in gone
    ]


def _name(task: Task) -> str:
    """A task's name in a file: its alias, unless that could be taken for another task's id."""
    return task.id if task.alias is None or is_uuid(task.alias) else task.alias


def _changes(
    plan: Plan, planned: PlannedTask, parent: str | None, task: Task, names: Mapping[str, str]
) -> dict[str, Value]:
    """The keys to change, with their new values; None for a key to remove."""
    values: dict[str, Value] = {}
    if planned.description != task.description:
        values["description"] = task.description
    values |= _agent_change(plan, planned, task)
    if (planned.status or State.PENDING) is not task.state:
        values["status"] = str(task.state)
    if planned.tags != task.tags:
        values["tags"] = task.tags
    if parent != task.parent_id or _is_lost(planned.parent, parent, names):
        values["parent"] = None if task.parent_id is None else names.get(task.parent_id, task.parent_id)
    if planned.result != (task.result if task.state.is_terminal else None):
        values["result"] = task.result if task.state.is_terminal else None
    return values


def _agent_change(plan: Plan, planned: PlannedTask, task: Task) -> dict[str, Value]:
    if task.holder is None:
        # If there is a default agent, a pending task has to say that nobody has it.
        wanted = NOBODY if plan.default_agent is not None and task.state is State.PENDING else None
        return {} if planned.agent == wanted else {"agent": wanted}
    said = planned.agent if planned.agent is not None else plan.default_agent
    return {} if said == task.holder else {"agent": task.holder}


def _is_lost(name: str | None, parent: str | None, names: Mapping[str, str]) -> bool:
    """Whether the parent's name in the file is obsolete, because the parent was removed."""
    return name is not None and parent is not None and parent not in names and not is_uuid(name)


def _table(plan: Plan, task: Task, names: Mapping[str, str]) -> dict[str, Value]:
    nobody = NOBODY if plan.default_agent is not None and task.state is State.PENDING else None
    return {
        "id": names[task.id],
        "description": task.description,
        "agent": task.holder or nobody,
        "status": str(task.state),
        "tags": task.tags,
        "parent": None if task.parent_id is None else names.get(task.parent_id, task.parent_id),
        "result": task.result if task.state.is_terminal else None,
    }
