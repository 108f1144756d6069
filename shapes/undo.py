"""The JSON shape of an undo. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import Undone, compare
from shapes import Shape

if TYPE_CHECKING:
    from town import Town, UndoReceipt


def undo_shape(town: Town, receipt: UndoReceipt, *, is_preview: bool) -> Shape:
    """The command that is taken back, what happens to each of its tasks, and the new events; none in a preview."""
    first, last = receipt.command[0], receipt.command[-1]
    return {
        "town": town.name,
        "dry_run": is_preview,
        "command": last.command,
        "actor": last.actor,
        "first": first.position,
        "last": last.position,
        "tasks": [_undone(each) for each in receipt.tasks],
        "positions": receipt.positions,
    }


def _undone(undone: Undone) -> Shape:
    return {
        "task": undone.task_id,
        "cause": undone.cause,
        "events": [event.type for event in undone.events],
        "changes": [change._asdict() for change in compare(undone.now, undone.then)],
    }
