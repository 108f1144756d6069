"""The JSON shapes that `--json` prints; docs/reference/json.md shows each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import Position, RecordedEvent, State, Step, Task, Unfit, format_ms
from projections import Snapshot, snapshot_of

if TYPE_CHECKING:
    from projections import Difference
    from town import Annotation, Branch, Reader, Receipt, Town

Shape = dict[str, Any]


def task_shape(task: Task | None) -> Snapshot | None:
    """A task as its canonical snapshot."""
    return None if task is None else snapshot_of(task)


def receipt_shape(town: Town, receipt: Receipt) -> Shape:
    return {"town": town.name, "task": task_shape(receipt.task), "positions": receipt.positions}


def tasks_shape(town: Town, tasks: Sequence[Task], **more: Any) -> Shape:  # noqa: ANN401 - further fields of the shape
    return {"town": town.name, **more, "tasks": [task_shape(task) for task in tasks]}


def branch_shape(branch: Branch) -> Shape:
    """A task of a tree, how deep it lies, and how many of its children there are and are completed."""
    children = branch.children
    return {
        "depth": branch.depth,
        "children": sum(children.values()),
        "done": children.get(State.COMPLETED, 0),
        "task": task_shape(branch.task),
    }


def event_shape(recorded: RecordedEvent, flaw: str | None = None, notes: Sequence[Annotation] = ()) -> Shape:
    """An event as it is on the wire, with its position, number and recorded time; `flaw` says why no command can make it.

    `notes` are what people wrote on it.
    """
    position = recorded.position
    shape: Shape = {
        "position": position,
        "number": position.seq,
        "time": format_ms(position.ms),
        "type": recorded.type,
        "schema": recorded.schema,
        "task": recorded.task,
        "version": recorded.version,
        "actor": recorded.actor,
        "command": recorded.command,
        "prev": recorded.prev,
        "data": recorded.data.content if isinstance(recorded.data, Unfit) else msgspec.to_builtins(recorded.data),
    }
    optional = {
        "reason": recorded.reason,
        "cause": recorded.cause,
        "occurred_at": recorded.occurred_at,
        "flaw": flaw,
        "annotations": [annotation_shape(note) for note in notes] or None,
    }
    return shape | {name: value for name, value in optional.items() if value is not None}


def annotation_shape(note: Annotation) -> Shape:
    """A note on an event: where its own event stands, who wrote it, and what."""
    return moment_shape(note.position) | {"actor": note.actor, "text": note.text}


def step_shape(step: Step, notes: Sequence[Annotation] = ()) -> Shape:
    """An event of a history, with the fields it changed."""
    return event_shape(step.event, step.flaw, notes) | {"changes": [change._asdict() for change in step.changes]}


def difference_shape(difference: Difference, parted_after: Position | None) -> Shape:
    """What differs, field by field: [field, expected, actual]; and the position after which they parted."""
    from projections import different_fields, printable  # noqa: PLC0415 - with them comes all that compares and rebuilds

    return {
        "kind": difference.kind,
        "key": printable(difference.key),
        "task": None if difference.task is None else printable(difference.task),
        "parted_after": parted_after,
        "fields": different_fields(difference),
    }


def reader_shape(reader: Reader) -> Shape:
    """Which moment is shown; nothing of now."""
    return {} if reader.then is None else moment_shape(reader.then)


def moment_shape(position: Position) -> Shape:
    return {"position": position, "number": position.seq, "time": format_ms(position.ms)}
