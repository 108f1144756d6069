"""The JSON shapes of `tt migrate`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shapes import Shape
from shapes.read_side import findings_shape

if TYPE_CHECKING:
    from projections import Verification
    from town import LegacyKeys, MigrationPreview, MigrationReport, OldPlace, Town


def migration_shape(
    town: Town,
    preview: MigrationPreview,
    *,
    places: Sequence[Shape],
    durability_problems: Sequence[str],
    report: MigrationReport | None,
    verified: Verification | None,
) -> Shape:
    """What a migration found and did; what it did is null if nothing was done. Each place is a `place_shape`."""
    last = preview if report is None else report
    return {
        "town": town.name,
        "done": report is not None,
        "tasks": preview.tasks,
        "records": preview.forms,
        "agents": preview.agents,
        "unnamed_agents": preview.unnamed_agents,
        "backlog": preview.backlog,
        "places": places,
        "durability_problems": durability_problems,
        "adopted": None if report is None else report.adopted,
        "set_aside": None if report is None else report.set_aside,
        "copied": None if report is None else report.copied,
        "skipped": [{"key": each.key, "why": each.why} for each in last.skipped],
        "irregular": [{"task": each.task_id, "what": each.what} for each in last.irregular],
        "unadopted": preview.unadopted,
        "positions": None if report is None else report.positions,
        "seconds": None if report is None else round(report.seconds, 3),
        "findings": None if verified is None else findings_shape(verified.findings),
    }


def place_shape(place: OldPlace, state: str) -> Shape:
    """A server that Tinytown's settings or files name, and the result of looking there."""
    return {
        "where": place.where,
        "named_by": place.named_by,
        "state": state,
        "files": [str(path) for path in place.files],
    }


def legacy_shape(town: Town, legacy: LegacyKeys, *, is_dropping: bool) -> Shape:
    """The old keys that migrations set aside, and whether they are deleted now."""
    return {
        "town": town.name,
        "dropped": is_dropping,
        "keys": legacy.keys,
        "bytes": legacy.bytes,
        "unadopted": legacy.unadopted,
    }
