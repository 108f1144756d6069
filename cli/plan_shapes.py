"""The JSON shapes of plans, pushes and pulls; docs/reference/json.md shows each. Pure."""

from __future__ import annotations

from cli.shapes import Shape
from town import PlanChange, PlanKept, PlannedTask, PullChange, PullReceipt, PushReceipt


def planned_shape(task: PlannedTask) -> Shape:
    """A task as the file has it; null where the file says nothing."""
    return {field: getattr(task, field) for field in task.__struct_fields__}


def push_shape(push: PushReceipt) -> Shape:
    """What a push did or would do. The position is that of its last event, null where there is none."""
    return {
        "tasks": push.tasks,
        "created": push.created,
        "changed": push.changed,
        "removed": push.removed,
        "events": push.events,
        "position": push.positions[-1] if push.positions else None,
        "changes": [_change(change) for change in push.changes],
        "kept": [_kept(kept) for kept in push.kept],
        "not_understood": push.not_understood,
    }


def pull_shape(pull: PullReceipt) -> Shape:
    """What a pull wrote or would write: of each task the keys with their new values, null for a key that goes."""
    return {
        "tasks": pull.tasks,
        "changed": [_written(change) for change in pull.changed],
        "added": [_written(change) for change in pull.added],
        "removed": [_written(change) for change in pull.removed],
        "not_understood": pull.not_understood,
    }


def _change(change: PlanChange) -> Shape:
    return {"id": change.id, "task": change.task_id, "events": [event.type for event in change.events]}


def _kept(kept: PlanKept) -> Shape:
    return {"id": kept.id, "task": kept.task_id, "field": kept.field, "town": kept.town, "plan": kept.plan}


def _written(change: PullChange) -> Shape:
    return {"id": change.id, "task": change.task_id, "values": change.values}
