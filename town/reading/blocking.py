"""Since when tasks block each other, from the histories of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from ledger import LinkKind, Position, RecordedEvent, State, TaskAsked, TaskLinked, steps
from projections import Block, BlockKind


class Since(Struct, frozen=True):
    """The event from which on something blocks: its position, and who caused it."""

    position: Position
    actor: str


def read_since(
    blocks: Iterable[Block], history: Callable[[str], Sequence[RecordedEvent]]
) -> dict[tuple[str, str | None], Since]:
    """(Holder, blocker) -> since when it blocks; the blocker is None for a question. What its history does not tell is left out.

    Each history is read once.
    """
    read: dict[str, Sequence[RecordedEvent]] = {}
    found: dict[tuple[str, str | None], Since] = {}
    for block in blocks:
        for task_id in (block.holder.id, *([] if block.blocker_id is None else [block.blocker_id])):
            if task_id not in read:
                read[task_id] = history(task_id)
        own = read[block.holder.id]
        if block.kind is BlockKind.QUESTION:
            began = next((each for each in reversed(own) if isinstance(each.data, TaskAsked)), None)
        else:
            began = _later(_linked(own, block.blocker_id), _undone(read[block.blocker_id or ""]))
        if began is not None:
            found[block.holder.id, block.blocker_id] = Since(began.position, began.actor)
    return found


def _linked(events: Sequence[RecordedEvent], to: str | None) -> RecordedEvent | None:
    """The last event that said that the task needs the other."""
    return next(
        (
            each
            for each in reversed(events)
            if isinstance(each.data, TaskLinked) and (each.data.kind, each.data.to) == (LinkKind.NEEDS, to)
        ),
        None,
    )


def _undone(events: Sequence[RecordedEvent]) -> RecordedEvent | None:
    """The last event after which a task that was completed was not: it was opened again or removed."""
    found = None
    for step in steps(events):
        if any(change.field == "state" and change.before == State.COMPLETED for change in step.changes):
            found = step.event
    return found


def _later(first: RecordedEvent | None, second: RecordedEvent | None) -> RecordedEvent | None:
    return max((each for each in (first, second) if each is not None), key=lambda each: each.position, default=None)
