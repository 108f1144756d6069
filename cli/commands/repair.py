"""`tt doctor --repair`: says what a repair of the server's files keeps and loses, asks, and carries it out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import typer

from cli.exits import Exit
from cli.output import say, say_error, say_json, warn
from cli.text import ICONS, counted, short_id
from ledger import State
from shapes.read_side import repair_shape, undamaged_shape
from town import (
    BEHIND_FILE,
    EVENTS_FILE,
    Damage,
    Loss,
    LostEvents,
    MendedTown,
    Repair,
    RepairPlan,
    local_time,
    opened_repair,
)

REPAIR_LINES_MAX = 20
"""How many damages, losses and tasks are shown without --json."""

_FATES: Final = {
    Loss.BEGINNING: "its first events are lost; it is shown until a rebuild removes it",
    Loss.MIDDLE: "events in between are lost; it can be used, but `tt task history` stops at the gap",
    Loss.END: "its latest events are lost; a rebuild sets it back to before them",
}


def repair(*, town: Path | None, is_agreed: bool, as_json: bool) -> None:
    """Examine, report, ask, repair. Exit code 1 if nobody agreed; then nothing was changed."""
    with opened_repair(town) as (name, found):
        plan = None if found is None else found.look()
        if found is not None:
            _say_remarks(found)
        if found is None or plan is None:
            _say_whole(name, has_files=found is not None and found.has_files, as_json=as_json)
            return
        if not as_json:
            _say_plan(name, plan)
        if not is_agreed and sys.stdin.isatty() and not as_json:
            is_agreed = typer.confirm("Replace the damaged files with the repaired ones, and keep the damaged ones?")
        kept = found.carry_out() if is_agreed else None
        if as_json:
            say_json(repair_shape(name, plan, kept))
        elif kept is not None:
            _say_done(name, plan, kept, is_foreign=found.is_foreign)
    if kept is None:
        say_error("Nothing was changed. `tt doctor --repair --yes` repairs; the damaged files are kept.")
        raise typer.Exit(Exit.REFUSED)


def _say_remarks(found: Repair) -> None:
    if found.remark is not None:
        warn(found.remark)
    if found.finished is not None:
        warn(f"A repair that was interrupted is finished. The damaged files are kept in {found.finished}.")


def _say_whole(name: str, *, has_files: bool, as_json: bool) -> None:
    if as_json:
        say_json(undamaged_shape(name))
    elif not has_files:
        say(
            "There is nothing to repair: the town's server has no files yet. If they were deleted, restore a backup of .tt."
        )
    else:
        say("Nothing is damaged: every byte of the server's files can be read. `tt verify` proves what they say.")


def _say_plan(name: str, plan: RepairPlan) -> None:
    found = plan.salvage
    if found.manifest_problem is not None:
        say(
            f"The list of the server's files is damaged: {found.manifest_problem}. Their names tell what belongs to it."
        )
    for damage in found.damages[:REPAIR_LINES_MAX]:
        say(_damage_line(damage))
    if len(found.damages) > REPAIR_LINES_MAX:
        warn(f"… and {counted(len(found.damages) - REPAIR_LINES_MAX, 'more damaged place')}; --json lists them all.")
    if found.damages:
        left_out = f"; {counted(plan.events_left_out, 'event')} cannot be kept in place" if plan.events_left_out else ""
        first = "first damage" if len(found.damages) > 1 else "damage"
        if found.commands_behind:
            commands, events = counted(found.commands_behind, "command"), counted(plan.events_behind, "event")
            say(f"After the {first}, {commands} can be read, {events} among them{left_out}.")
        else:
            say(f"After the {first}, nothing can be read.")
    for each in plan.towns:
        _say_town(each)
    _say_end(name, plan)


def _say_end(name: str, plan: RepairPlan) -> None:
    """Say whether anything else is lost, as far as the files show."""
    cut_short = next((each for each in plan.salvage.damages if each.is_cut_short), None)
    last = next((each.position.seq for each in plan.towns if each.town == name), None)
    if last is None:
        say(f"{name}: no event of this town can be read. All that it held is lost, unless there is a backup.")
    elif cut_short is not None:
        say(
            f"{cut_short.file} ends early. After a power cut, that is an append that was never acknowledged."
            f" If something else cut it off, events after number {last:,} are lost without a trace in the files."
        )
    elif not plan.salvage.is_end_known:
        say(
            f"No event follows the last damage, so the damaged bytes may have held some: events after number {last:,} may be lost."
        )
    elif plan.keeps_all and plan.salvage.manifest_problem is not None:
        say("No event is lost, as far as the names of the files tell.")
    elif plan.keeps_all:
        say("No event is lost.")
    else:
        say("Every other event is kept.")


def _damage_line(damage: Damage) -> str:
    if not damage.end:
        return f"{damage.file}: {damage.problem}."
    restored = f", and {counted(damage.restored, 'event')} in them can be put together again" if damage.restored else ""
    size = counted(damage.end - damage.offset, "byte")
    return f"{damage.file}: {size} from byte {damage.offset:,} on cannot be read ({damage.problem}){restored}."


def _say_town(each: MendedTown) -> None:
    say(f"{each.town}: {counted(each.events, 'event')} can be kept, the last is number {each.position.seq:,}.")
    named = {event.number: event for event in each.named}
    for lost in each.lost[:REPAIR_LINES_MAX]:
        event = named.get(lost.first)
        if lost.first == lost.last and event is not None:
            say(f"  lost: event {lost.first:,}, {local_time(event.time)}, of task {short_id(event.task_id)}")
        else:
            numbers = f"event {lost.first:,}" if lost.first == lost.last else f"events {lost.first:,} to {lost.last:,}"
            say(f"  lost: {numbers}, {_when(lost)}")
    if len(each.lost) > REPAIR_LINES_MAX:
        warn(f"… and at {counted(len(each.lost) - REPAIR_LINES_MAX, 'more place')}; --json lists all that are lost.")
    for task in each.affected[:REPAIR_LINES_MAX]:
        icon = f"{ICONS[State(task.state)]} {task.state}" if task.state in set(State) else "—"
        say(f"  task {short_id(task.task_id)}, {icon}, {task.description or 'without a snapshot'}: {_FATES[task.loss]}")
    if len(each.affected) > REPAIR_LINES_MAX:
        warn(
            f"… and {counted(len(each.affected) - REPAIR_LINES_MAX, 'more task')} that lost events; --json lists them all."
        )


def _when(lost: LostEvents) -> str:
    """The times between which they were recorded."""
    before = None if lost.not_after is None else local_time(lost.not_after)
    after = None if lost.not_before is None else local_time(lost.not_before)
    if after is None or before is None:
        return f"recorded {f'before {before}' if before else f'after {after}' if after else 'at an unknown time'}"
    return f"recorded at {after}" if after == before else f"recorded between {after} and {before}"


def _say_done(name: str, plan: RepairPlan, kept: Path, *, is_foreign: bool) -> None:
    say(f"Repaired. The damaged files are kept in {kept}.")
    if plan.salvage.commands_behind:
        say(f"What was read after the damage is there too: {BEHIND_FILE}, and its events in {EVENTS_FILE}.")
    if is_foreign:
        warn("This data was not made here, so it is not loaded until you allow it with `tt trust`.")
    if all(each.town != name for each in plan.towns):
        warn(
            "The town starts again, empty. With a backup of .tt: `tt stop`, move .tt away, put the backup there, `tt trust`."
        )
    elif any(each.lost for each in plan.towns):
        warn(
            "Events are lost, and `tt verify` goes on naming them. Two ways from here:\n"
            "  With a backup of .tt: `tt stop`, move .tt away, put the backup in its place, `tt trust`.\n"
            "  Without one: note what you need of the tasks above, then `tt rebuild --accept-loss`, which builds what is"
            " left and deletes what only snapshots still show. `tt assign` makes a lost task again."
        )
    elif any(each.findings for each in plan.towns):
        warn("`tt verify` still finds something: it says what, and what to do.")
    else:
        say("`tt verify` finds nothing wrong.")
