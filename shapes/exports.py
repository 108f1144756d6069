"""The JSON shape of an export. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from shapes import Shape
    from town import ExportReceipt, Town


def export_shape(town: Town, receipt: ExportReceipt, path: Path) -> Shape:
    """What was written, and where. The position is that of the last event, null if there is none."""
    return {
        "town": town.name,
        "file": str(path),
        "format": receipt.format,
        "events": receipt.events,
        "position": receipt.position if receipt.events else None,
        "bytes": receipt.size_bytes,
    }
