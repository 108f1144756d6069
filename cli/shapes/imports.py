"""The JSON shape of an import. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.shapes import Shape
    from town import ImportReceipt, Town


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
    }
