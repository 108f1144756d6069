"""`tt doctor --repair`: says what a repair of the server's files keeps and loses, asks, and carries it out."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import typer

from cli.exits import Exit
from cli.output import say, say_error, say_json, warn
from cli.text import counted, local_time, visible
from town import BEHIND_FILE, EVENTS_FILE, LostEvents, MendedTown, RepairPlan, opened_repair

REPAIR_LINES_MAX = 20
"""How many damages, losses and findings are shown without --json."""


def repair(*, town: Path | None, is_agreed: bool, as_json: bool) -> None:
    """Look, say, ask, repair. Exit code 1 where nobody agreed: nothing was changed then."""
    with opened_repair(town) as (name, found):
        plan = None if found is None else found.look()
        if found is None or plan is None:
            if as_json:
                say_json({"town": name, "is_damaged": False, "is_repaired": False})
            else:
                say(
                    "Nothing is damaged: every byte of the server's files can be read. `tt verify` proves what they say."
                )
            return
        if not as_json:
            _say_plan(plan)
        if not is_agreed and sys.stdin.isatty() and not as_json:
            is_agreed = typer.confirm("Put the repaired files in the place of the damaged ones, and keep those?")
        kept = found.carry_out() if is_agreed else None
        if as_json:
            say_json(_shape(name, plan, kept))
        elif kept is not None:
            _say_done(plan, kept)
    if kept is None:
        say_error("Nothing was changed. `tt doctor --repair --yes` repairs; the damaged files are kept.")
        raise typer.Exit(Exit.REFUSED)


def _say_plan(plan: RepairPlan) -> None:
    if plan.salvage.manifest_problem is not None:
        say(
            f"The list of the files is damaged: {visible(plan.salvage.manifest_problem)}. Their names tell what belongs to it."
        )
    for damage in plan.salvage.damages[:REPAIR_LINES_MAX]:
        extent = f" at byte {damage.offset:,}, {counted(damage.end - damage.offset, 'byte')}" if damage.end else ""
        restored = f", {counted(damage.restored, 'event')} in it restored" if damage.restored else ""
        say(visible(f"{damage.file}{extent}: {damage.problem}{restored}."))
    if len(plan.salvage.damages) > REPAIR_LINES_MAX:
        warn(f"… and {len(plan.salvage.damages) - REPAIR_LINES_MAX:,} more; --json lists them all.")
    if plan.salvage.damages:
        left_out = f"; {counted(plan.events_left_out, 'event')} cannot be kept in place" if plan.events_left_out else ""
        say(
            f"From the {'first ' if len(plan.salvage.damages) > 1 else ''}damage on,"
            f" {counted(plan.salvage.commands_behind, 'command')} with {counted(plan.events_behind, 'event')} can be read{left_out}."
        )
    for each in plan.towns:
        _say_town(each)
    say("No event is lost." if plan.keeps_all else "Everything else is kept.")


def _say_town(each: MendedTown) -> None:
    say(f"{visible(each.town)}: {counted(each.events, 'event')} can be kept, the last is {each.position.seq:,}.")
    named = {event.number: event for event in each.named}
    for lost in each.lost[:REPAIR_LINES_MAX]:
        if lost.first == lost.last and lost.first in named:
            event = named[lost.first]
            say(visible(f"  lost: event {lost.first:,}, {local_time(event.time)}, of task {event.task}"))
        else:
            numbers = f"event {lost.first:,}" if lost.first == lost.last else f"events {lost.first:,} to {lost.last:,}"
            say(f"  lost: {numbers}, {_when(lost)}")
    if len(each.lost) > REPAIR_LINES_MAX:
        warn(f"… and at {len(each.lost) - REPAIR_LINES_MAX:,} more places; --json lists all that are lost.")


def _when(lost: LostEvents) -> str:
    """Between which times they were recorded."""

    def word(time: datetime | None, unknown: str) -> str:
        return unknown if time is None else local_time(time)

    return f"recorded between {word(lost.not_before, 'the beginning')} and {word(lost.not_after, 'the end')}"


def _say_done(plan: RepairPlan, kept: Path) -> None:
    say(f"Repaired. The damaged files are kept in {visible(str(kept))}.")
    if plan.salvage.damages:
        say(f"What was read behind the damage is there too: {BEHIND_FILE}, and its events in {EVENTS_FILE}.")
    losing = [each for each in plan.towns if each.lost]
    if losing:
        warn(
            "Events are lost: `tt verify` lists which. With a backup of .tt, restore it and leave these files aside."
            " Without one, `tt rebuild --accept-loss` builds what is left, and takes away what snapshots still tell of the lost ones."
        )
    elif any(each.findings for each in plan.towns):
        warn("`tt verify` still finds something: it says what, and what to do.")
    else:
        say("`tt verify` finds nothing wrong.")


def _shape(name: str, plan: RepairPlan, kept: Path | None) -> dict[str, object]:
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
        "towns": [
            {
                "town": each.town,
                "events": each.events,
                "position": each.position,
                "lost": each.lost,
                "lost_named": each.named,
                "heads_put_right": each.heads,
                "differences_put_right": each.rebuilt,
                "findings": [
                    {"kind": finding.kind, "where": finding.where, "problem": finding.problem}
                    for finding in each.findings
                ],
            }
            for each in plan.towns
        ],
    }
