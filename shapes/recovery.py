"""The JSON shape of a recovery. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapes import Shape

if TYPE_CHECKING:
    from town import GoneEvent, Recovered, Town


def recovery_shape(town: Town, found: Recovered, *, is_dry_run: bool) -> Shape:
    """What is gone, what happens to each event, and where those stand now that were appended again."""
    gap = found.gap
    return {
        "town": town.name,
        "dry_run": is_dry_run,
        "end": gap.end,
        "gone": [gone_shape(each) for each in gap.events],
        "damaged_receipts": gap.damaged,
        "position": found.position,
        "positions": list(found.appended),
        "accepted": found.is_accepted,
        "kept": found.kept_in,
    }


def gone_shape(event: GoneEvent) -> Shape:
    """An event that is gone. Of one whose fate is `unknown` only the position is known."""
    return {
        "position": event.position,
        "type": event.type or None,
        "task": event.task or None,
        "version": event.version or None,
        "actor": event.actor or None,
        "fate": event.fate,
        "now": event.now,
        "why": event.why,
    }
