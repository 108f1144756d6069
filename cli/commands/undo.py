"""Undo: take a command back, by new events; history stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from cli.beside import linked_ids, names_of
from cli.diff_lines import linked_in
from cli.options import ActorOption, DryRunOption, JsonOption, ReasonOption, TownOption
from cli.output import Cell, say, say_json, say_table
from cli.render import change_words, event_words
from cli.session import opened
from cli.text import called, counted, event_number, visible
from ledger import FieldChange, Undone, compare
from shapes.undo import undo_shape
from town import UndoReceipt, local_time


def undo(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT|TASK]",
            help="An event of the command, by position or number, or the task whose last command it is. Default: your own last one.",
            show_default=False,
        ),
    ] = None,
    *,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a command back: all it changed, on every task, by new events. History stays.

    Refused if later events stand on it. Undo of an undo brings it back. Notes and annotations stay.
    """
    with opened(town, actor) as opened_town:
        undoing = opened_town.undoing
        receipt = undoing.preview(what) if dry_run else undoing.undo(what, reason=reason)
        if as_json:
            say_json(undo_shape(opened_town, receipt, is_preview=dry_run))
            return
        events = sum(len(each.events) for each in receipt.tasks)
        changes = {each.task_id: compare(each.now, each.then) for each in receipt.tasks}
        moved = linked_in(change for each in changes.values() for change in each)
        names = names_of(opened_town, [*moved, *linked_ids(receipt.command)])
        verb = "Would be taken back" if dry_run else "Taken back"
        say(f"{verb}, by {counted(events, 'event')}: {_what(receipt, names)}")
        rows = [_row(each, changes[each.task_id], names) for each in receipt.tasks]
        say_table(["TASK", "EVENTS", "CHANGED"], rows, flexible="CHANGED")


def _what(receipt: UndoReceipt, names: Mapping[str, str]) -> str:
    """The command: its event, or which events it had."""
    first, last = receipt.command[0], receipt.command[-1]
    when = f"of {visible(last.actor)}, {local_time(last.position.time)}"
    if first is last:
        return f"event {event_number(last.position)} {when}: {event_words(last, names=names)}"
    types = ", ".join(dict.fromkeys(recorded.type.partition(".")[2] for recorded in receipt.command))
    return f"events {event_number(first.position)} to {event_number(last.position)} {when}: {types}"


def _row(undone: Undone, changes: Iterable[FieldChange], names: Mapping[str, str]) -> list[Cell]:
    types = ", ".join(event.type.partition(".")[2] for event in undone.events)
    return [_name(undone), types, "  ".join(change_words(change, names) for change in changes)]


def _name(undone: Undone) -> str:
    task = undone.then or undone.now
    return called(undone.task_id, None if task is None else task.alias)
