"""The JSON shapes of a board in columns, and of the steps between boards. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from shapes import Shape, moment_shape
from shapes.task import shape_of

if TYPE_CHECKING:
    from ledger import Position, Task
    from town import BoardStep, Town

_LONG = ("description", "result")
"""What a card leaves out: texts of any length."""


class Column(msgspec.Struct, frozen=True):
    """A column: its key, what people call it, how many tasks it has, and those behind the first `offset`."""

    key: str | int | None
    total: int
    tasks: Sequence[Task]
    title: str | None = None
    offset: int = 0


def card_shape(task: Task | None) -> Shape | None:
    """A task without its long texts, and without fields that are empty and not always there."""
    if task is None:
        return None
    builtins: Mapping[str, Any] = msgspec.to_builtins(shape_of(task), str_keys=True)
    return {name: value for name, value in builtins.items() if name not in _LONG}


def column_shape(column: Column) -> Shape:
    return {
        "key": column.key,
        "title": column.title,
        "total": column.total,
        "has_more": column.total > column.offset + len(column.tasks),
        "tasks": [card_shape(task) for task in column.tasks],
    }


def columns_shape(town: Town, position: Position, by: str, columns: Sequence[Column]) -> Shape:
    """A board in columns at a position."""
    return {
        "town": town.name,
        **moment_shape(position),
        "by": by,
        "total": sum(column.total for column in columns),
        "columns": [column_shape(column) for column in columns],
    }


def steps_shape(town: Town, after: Position, steps: Sequence[BoardStep], *, has_more: bool) -> Shape:
    """Steps, oldest first; `after` is the position before the first, `position` that of the last."""
    return {
        "town": town.name,
        "after": after,
        "position": steps[-1].event.at if steps else after,
        "has_more": has_more,
        "steps": [_step_shape(step) for step in steps],
    }


def _step_shape(step: BoardStep) -> Shape:
    event = step.event
    return moment_shape(event.position) | {
        "type": event.type,
        "actor": event.actor,
        "task": event.task,
        "before": card_shape(step.before),
        "after": card_shape(step.after),
    }
