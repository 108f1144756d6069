"""The JSON shapes of plans, pushes and pulls. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ledger import format_ms, to_ms
from shapes import Shape
from town import PlacedFault, Plan, PlanChange, PlanKept, PlannedTask, PullChange, PullReceipt, PushReceipt, Town


def planned_shape(task: PlannedTask) -> Shape:
    """A task as the file describes it; null where the file says nothing."""
    return {field: _value(getattr(task, field)) for field in task.__struct_fields__}


def plan_shape(path: Path, plan: Plan, *, town: Town | None = None, push: PushReceipt | None = None) -> Shape:
    """A plan and what a push of it would do; town and push are null where the town was not asked."""
    return {
        "town": None if town is None else town.name,
        "file": str(path),
        "description": plan.description,
        "default_agent": plan.default_agent,
        "plan": [planned_shape(task) for task in plan.tasks],
        "push": None if push is None else push_shape(push),
    }


def new_plan_shape(path: Path) -> Shape:
    return {"file": str(path)}


def faults_shape(path: Path, plan: Plan, faults: Sequence[PlacedFault]) -> Shape:
    return {"file": str(path), "tasks": len(plan.tasks), "faults": faults, "not_understood": plan.not_understood}


def pushed_shape(town: Town, path: Path, push: PushReceipt, *, dry_run: bool) -> Shape:
    return {"town": town.name, "file": str(path), "dry_run": dry_run} | push_shape(push)


def pulled_shape(town: Town, path: Path, pull: PullReceipt) -> Shape:
    return {"town": town.name, "file": str(path), "written": pull.has_changes} | pull_shape(pull)


def compared_shape(town: Town, path: Path, *, is_equal: bool, push: PushReceipt, pull: PullReceipt) -> Shape:
    """What a push and what a pull would do."""
    return {
        "town": town.name,
        "file": str(path),
        "is_equal": is_equal,
        "push": push_shape(push),
        "pull": pull_shape(pull),
    }


def push_shape(push: PushReceipt) -> Shape:
    """What a push did or would do. The position is that of its last event, null if there is none."""
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
    """What a pull wrote or would write: for each task its keys with their new values, null for a key that is removed."""
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
    values = {key: _value(value) for key, value in change.values.items()}
    return {"id": change.id, "task": change.task_id, "values": values}


def _value(value: object) -> object:
    """A time as elsewhere in the JSON, and any other value as it is."""
    return format_ms(to_ms(value)) if isinstance(value, datetime) else value
