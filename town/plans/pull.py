"""The edits after which a plan's file shows the town as it is. Pure: a plan and the town's tasks in, edits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ledger import PRIORITY_DEFAULT, State, Task, from_ms
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
    needs: Sequence[tuple[str, ...]],
    *,
    board: Mapping[str, Task],
    removed: frozenset[str],
) -> PullEdits:
    """The fewest edits after which the plan shows the town.

    `task_ids`, `parents` and `needs` are the task ids behind the plan's ids, parents and needed tasks, in their order. `board` has
    the town's tasks, oldest first, and `removed` those of the plan's that were removed. Tasks that the town never had are left alone.
    """
    names = {
        task_id: planned.id for task_id, planned in zip(task_ids, plan.tasks, strict=True) if task_id not in removed
    }
    missing = [task for task in board.values() if task.id not in names]
    names |= {task.id: _name(task) for task in missing}
    changed = {
        number: values
        for number, (planned, task_id, parent, needed) in enumerate(
            zip(plan.tasks, task_ids, parents, needs, strict=True)
        )
        if (found := board.get(task_id)) is not None
        and (values := _changes(plan, planned, parent, found, names) | _needs_change(planned, needed, found, names))
    }
    dropped = [number for number, task_id in enumerate(task_ids) if task_id in removed]
    return PullEdits(changed, dropped, {task.id: _table(plan, task, names) for task in missing})


def faults_of_pull(
    plan: Plan, task_ids: Sequence[str], edits: PullEdits, *, board: Mapping[str, Task]
) -> list[PlanFault]:
    """The faults of tasks that the town never had and whose parents or needed tasks are dropped: the user has to revise the
    plan first.
    """
    index, gone = plan.index(), frozenset(edits.dropped)
    faults: list[PlanFault] = []
    for number, planned in enumerate(plan.tasks):
        if task_ids[number] in board or number in gone:
            continue
        if index.get(planned.parent or "") in gone:
            problem = f"its parent {planned.parent!r} was removed from the town; {BRING_BACK}"
            faults.append(PlanFault(problem, number, "parent"))
        faults += [
            PlanFault(
                f"the task {needed!r} that it needs was removed from the town; {BRING_BACK}", number, "needs", item
            )
            for item, needed in enumerate(planned.needs)
            if index.get(needed) in gone
        ]
    return faults


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
    if planned.priority != task.priority:
        values["priority"] = _priority(task)
    for key, said, time in (
        ("due", planned.due, _due_of(task)),
        ("not_before", planned.not_before, _not_before_of(task)),
    ):
        if said != time:
            values[key] = time
    if planned.tags != task.tags:
        values["tags"] = task.tags
    if parent != task.parent_id or _is_lost(planned.parent, parent, names):
        values["parent"] = None if task.parent_id is None else names.get(task.parent_id, task.parent_id)
    if planned.result != (task.result if task.state.is_terminal else None):
        values["result"] = task.result if task.state.is_terminal else None
    return values


def _needs_change(
    planned: PlannedTask, needed: tuple[str, ...], task: Task, names: Mapping[str, str]
) -> dict[str, Value]:
    """The needs to write: those that stay keep their names and places, others follow."""
    named = {
        task_id: name
        for name, task_id in zip(planned.needs, needed, strict=True)
        if task_id in task.needs and not _is_lost(name, task_id, names)
    }
    others = [task_id for task_id in task.needs if task_id not in named]
    wanted = (*named.values(), *(names.get(task_id, task_id) for task_id in others))
    return {} if wanted == planned.needs else {"needs": wanted}


def _due_of(task: Task) -> datetime | None:
    return None if task.due_ms is None else from_ms(task.due_ms)


def _not_before_of(task: Task) -> datetime | None:
    return None if task.not_before_ms is None else from_ms(task.not_before_ms)


def _priority(task: Task) -> int | None:
    """What the file says of the priority; nothing of the usual one."""
    return None if task.priority == PRIORITY_DEFAULT else task.priority


def _agent_change(plan: Plan, planned: PlannedTask, task: Task) -> dict[str, Value]:
    if task.holder is None:
        # If there is a default agent, a pending task has to say that nobody has it.
        wanted = NOBODY if plan.default_agent is not None and task.state is State.PENDING else None
        return {} if planned.agent == wanted else {"agent": wanted}
    said = planned.agent if planned.agent is not None else plan.default_agent
    return {} if said == task.holder else {"agent": task.holder}


def _is_lost(name: str | None, parent: str | None, names: Mapping[str, str]) -> bool:
    """Whether the name of a parent or needed task in the file is obsolete, because that one was removed."""
    return name is not None and parent is not None and parent not in names and not is_uuid(name)


def _table(plan: Plan, task: Task, names: Mapping[str, str]) -> dict[str, Value]:
    nobody = NOBODY if plan.default_agent is not None and task.state is State.PENDING else None
    return {
        "id": names[task.id],
        "description": task.description,
        "agent": task.holder or nobody,
        "status": str(task.state),
        "priority": _priority(task),
        "due": _due_of(task),
        "not_before": _not_before_of(task),
        "tags": task.tags,
        "parent": None if task.parent_id is None else names.get(task.parent_id, task.parent_id),
        "needs": tuple(names.get(needed, needed) for needed in task.needs),
        "result": task.result if task.state.is_terminal else None,
    }
