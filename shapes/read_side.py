"""The JSON shapes of projector, rebuild, verify, doctor and repair. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger import Position
from shapes import Shape

if TYPE_CHECKING:
    from msgspec import Struct

    from projections import Difference, Finding, Verification
    from town import Check, MendedTown, RepairPlan, Town, WorkerReport


def worker_shape(report: WorkerReport) -> Shape:
    """Where a worker is with a town: a line of `tt projector --json`."""
    return {field: getattr(report, field) for field in report.__struct_fields__}


def differences_shape(town: Town, differences: Sequence[Shape]) -> Shape:
    """What a rebuild would put right; each is a `difference_shape`."""
    return {"town": town.name, "differences": differences}


def difference_shape(difference: Difference, diverged_after: Position | None) -> Shape:
    """What differs, as [field, expected, actual], and the position after which the first event was missed."""
    from projections import different_fields, printable  # noqa: PLC0415 - with them comes all that compares and rebuilds

    return {
        "kind": difference.kind,
        "key": printable(difference.key),
        "task": None if difference.task_id is None else printable(difference.task_id),
        "parted_after": diverged_after,
        "fields": different_fields(difference),
    }


def rebuild_shape(town: Town, report: Struct) -> Shape:
    """What a rebuild did, each field of its report."""
    return {"town": town.name, **{field: getattr(report, field) for field in report.__struct_fields__}}


def verification_shape(town: Town, found: Verification) -> Shape:
    return {
        "town": town.name,
        "events": found.events,
        "tasks": found.tasks,
        "position": found.position,
        "findings": findings_shape(found.findings),
    }


def findings_shape(findings: Sequence[Finding]) -> list[Shape]:
    from town import problem_of  # noqa: PLC0415 - only a finding pays for it

    return [{"kind": each.kind, "where": each.where, "problem": problem_of(each)} for each in findings]


def checks_shape(town: Town, checks: Sequence[Check]) -> Shape:
    """What `tt doctor` looked at."""
    from town import words_of  # noqa: PLC0415 - only `tt doctor` pays for it

    shapes = [{"name": each.name, "state": each.state, "words": words_of(each.error or each.words)} for each in checks]
    return {"town": town.name, "checks": shapes}


def undamaged_shape(name: str) -> Shape:
    """The answer to `tt doctor --repair` where every byte of the server's files can be read."""
    return {"town": name, "is_damaged": False, "is_repaired": False}


def repair_shape(name: str, plan: RepairPlan, kept: Path | None) -> Shape:
    """What is damaged, and what a repair keeps and loses. `kept` is where the damaged files are; None before a repair."""
    return {
        "town": name,
        "is_damaged": True,
        "is_repaired": kept is not None,
        "kept": None if kept is None else str(kept),
        "manifest_problem": plan.salvage.manifest_problem,
        "damages": plan.salvage.damages,
        "commands_behind": plan.salvage.commands_behind,
        "events_behind": plan.events_behind,
        "events_left_out": plan.events_left_out,
        "is_end_known": plan.salvage.is_end_known,
        "towns": [_mended(each) for each in plan.towns],
    }


def _mended(town: MendedTown) -> Shape:
    return {
        "town": town.town,
        "events": town.events,
        "position": town.position,
        "lost": town.lost,
        "lost_named": [{"number": each.number, "time": each.time, "task": each.task_id} for each in town.named],
        "tasks": [
            {"task": each.task_id, "loss": each.loss, "description": each.description, "state": each.state}
            for each in town.affected
        ],
        "heads_put_right": town.heads,
        "differences_put_right": town.rebuilt,
        "findings": findings_shape(town.findings),
    }
