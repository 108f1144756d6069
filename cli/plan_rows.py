"""How plans, pushes and pulls are shown to people. Pure: facts in, text and table cells out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time

from cli.output import Cell
from cli.render import NOTHING, state_cell, without_column
from cli.text import counted, short_id, visible
from ledger import PRIORITY_DEFAULT, Event, State, title_of
from town import (
    DAY_BEGINS,
    DAY_ENDS,
    Plan,
    PlanChange,
    PlanKept,
    PlannedTask,
    PullChange,
    PullReceipt,
    PushReceipt,
    local_time,
)

_BRANCH = "├─ "
_LAST_BRANCH = "└─ "
_TRUNK = "│  "
_GAP = "   "
_TRUNK_CHARS_SHOWN = 60


def plan_rows(plan: Plan, push: PushReceipt | None) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of a plan as a tree, tasks in the order of the file; the last column says what a push does.

    If the file does not say a task's state or agent, those of the town are shown. Priorities, times and needs have columns
    if the file says some.
    """
    columns = ["TASK", "STATE", "PRIO", "AGENT", "DUE", "NOT BEFORE", "TITLE", "NEEDS", "PUSH"]
    words = {} if push is None else push_words(push)
    rows: list[list[Cell]] = []
    for branch, task in _tree(plan):
        found = None if push is None else push.found.get(task.id)
        agent = task.agent if task.agent is not None else (found and found.holder) or plan.default_agent
        row: list[Cell] = [
            branch + visible(task.id),
            state_cell(task.status or (State.PENDING if found is None else found.state)),
            str(task.priority),
            visible(agent) if agent else NOTHING,
            NOTHING if task.due is None else _time_words(task.due, DAY_ENDS),
            NOTHING if task.not_before is None else _time_words(task.not_before, DAY_BEGINS),
            visible(title_of(task.description)),
            visible(", ".join(task.needs)) or NOTHING,
            words.get(task.id, ""),
        ]
        rows.append(row)
    if all(task.priority == PRIORITY_DEFAULT for task in plan.tasks):
        columns, rows = without_column(columns, rows, "PRIO")
    if all(task.due is None for task in plan.tasks):
        columns, rows = without_column(columns, rows, "DUE")
    if all(task.not_before is None for task in plan.tasks):
        columns, rows = without_column(columns, rows, "NOT BEFORE")
    if not any(task.needs for task in plan.tasks):
        columns, rows = without_column(columns, rows, "NEEDS")
    return (columns, rows) if push is not None else without_column(columns, rows, "PUSH")


def _time_words(given: datetime, of_day: time) -> str:
    """As the file says it: a day, which stands for this time of it, or a time."""
    return f"{given:%Y-%m-%d}" if given.timetz() == of_day else local_time(given)


def push_words(push: PushReceipt) -> dict[str, str]:
    """A task's id in the file -> what a push does to it, and what stays."""
    words: dict[str, list[str]] = {}
    for change in push.changes:
        words.setdefault(change.id, []).append(event_names(change.events))
    for kept in push.kept:
        words.setdefault(kept.id, []).append(_stays(kept))
    return {task: ", ".join(parts) for task, parts in words.items()}


def change_rows(changes: Sequence[PlanChange]) -> tuple[list[str], list[list[Cell]]]:
    return ["TASK", "EVENTS"], [[_name(change.id, change.task_id), event_names(change.events)] for change in changes]


def pull_rows(pull: PullReceipt) -> tuple[list[str], list[list[Cell]]]:
    """What a pull writes, task by task."""
    rows: list[list[Cell]] = [[_name(each.id, each.task_id), _keys(each)] for each in pull.changed]
    rows += [[_name(each.id, each.task_id), "added"] for each in pull.added]
    rows += [[_name(each.id, each.task_id), "taken out: it was removed from the town"] for each in pull.removed]
    return ["TASK", "IN THE FILE"], rows


def event_names(events: Sequence[Event]) -> str:
    """`created, assigned`"""
    return ", ".join(event.type.partition(".")[2] for event in events)


def push_line(push: PushReceipt, *, is_preview: bool) -> str:
    """What a push did, in one line."""
    tasks = f"{counted(push.tasks, 'task')} in the file"
    if not push.changes:
        same = "nothing" if push.kept else "all as in the town; nothing"
        return f"{tasks}, {same} {'would be' if is_preview else 'was'} appended."
    counts = f"{push.created:,} created, {push.changed:,} changed, {push.removed:,} removed, by {counted(push.events, 'event')}"
    if is_preview:
        return f"{tasks}; a push would append: {counts}."
    return f"{tasks}: {counts}, the last at {push.positions[-1]}."


def pull_line(pull: PullReceipt, file: str) -> str:
    """What a pull wrote, in one line."""
    if not pull.has_changes:
        return f"{file} shows the town as it is already; it was left alone."
    counts = f"{len(pull.changed):,} changed, {len(pull.added):,} added, {len(pull.removed):,} taken out"
    return f"{file} is written: {counts}, {counted(pull.tasks, 'task')} in all."


def kept_line(kept: PlanKept) -> str:
    """What stays in the town although the file says otherwise, in one line."""
    name = _name(kept.id, kept.task_id)
    if kept.field in ("description", "parent"):
        return f"{name} {_stays(kept)}, because it has ended; the file has another."
    if kept.field == "task":
        return f"{name} {_stays(kept)}."
    return f"{name} {_stays(kept)}; the file says {visible(kept.plan or 'nobody')}."


def _stays(kept: PlanKept) -> str:
    match kept.field:
        case "status" | "task":
            return (
                f"stays {kept.town}" if kept.town == "removed" or kept.field == "status" else f"stays, it {kept.town}"
            )
        case "agent":
            return f"stays with {visible(kept.town or 'nobody')}"
        case _:
            return f"keeps its {kept.field}"


def _keys(change: PullChange) -> str:
    return ", ".join(key if value is not None else f"{key} goes" for key, value in change.values.items())


def _name(name: str, task_id: str) -> str:
    """An alias as it is; an id shortened, as everywhere."""
    return short_id(task_id) if name.lower() == task_id else visible(name)


def _tree(plan: Plan) -> Iterator[tuple[str, PlannedTask]]:
    """Each task with the tree lines before its name. A task whose parent is not in the plan is at the top."""
    inside = plan.index()
    below: dict[str | None, list[PlannedTask]] = {}
    for task in plan.tasks:
        below.setdefault(task.parent if task.parent in inside else None, []).append(task)
    # An explicit stack: a plan may be as deep as it has tasks.
    waiting = [("", "", task) for task in reversed(below.get(None, []))]
    while waiting:
        branch, trunk, task = waiting.pop()
        yield branch, task
        children = below.get(task.id, [])
        for number, child in enumerate(reversed(children)):
            is_last = number == 0
            # Indenting further than this would leave no room for the text.
            shown = trunk[-_TRUNK_CHARS_SHOWN:]
            waiting.append(
                (shown + (_LAST_BRANCH if is_last else _BRANCH), shown + (_GAP if is_last else _TRUNK), child)
            )
