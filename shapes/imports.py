"""The JSON shapes of imports. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shapes import Shape
    from town import ImportReceipt, LedgerReceipt, Town


def import_shape(town: Town, receipt: ImportReceipt) -> Shape:
    """What an import did. The position is that of its last event, null if there is none."""
    return {
        "town": town.name,
        "tasks": receipt.tasks,
        "created": receipt.created,
        "changed": receipt.changed,
        "removed": receipt.removed,
        "events": len(receipt.positions),
        "position": receipt.positions[-1] if receipt.positions else None,
        "left_out": receipt.left_out,
        "skipped": receipt.skipped,
        "labels_trimmed": receipt.labels_trimmed,
        "labels_dropped": receipt.labels_dropped,
        "links_left_out": receipt.links_left_out,
        "no_place": receipt.no_place,
        "texts_cut": receipt.texts_cut,
        "bad_lines": receipt.bad_lines,
        "set_aside": None if receipt.set_aside is None else str(receipt.set_aside),
    }


def ledger_import_shape(town: Town, receipt: LedgerReceipt) -> Shape:
    """What a ledger's file has, and how much of it was appended. The position is that of its last event, null if there is none."""
    return {
        "town": town.name,
        "events": receipt.events,
        "appended": receipt.appended,
        "tasks": receipt.tasks,
        "position": receipt.position if receipt.events else None,
        "damage": [{"position": each.where, "problem": each.problem} for each in receipt.damage],
    }
