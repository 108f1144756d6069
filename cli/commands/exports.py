"""`tt export` and `tt save`: the ledger as a file, or its events in a format of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.moments import say_choices
from cli.options import (
    ActorOption,
    EventTaskFilter,
    JsonOption,
    LedgerFileOption,
    SinceOption,
    TownOption,
    UntilOption,
)
from cli.output import bytes_out, is_terminal, progress_lines, say, say_json
from cli.session import opened
from cli.text import counted, visible
from shapes.exports import export_shape
from town import ExportReceipt, Format, Town, format_of

PIPE: Final = "-"


def export(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="The file to write; .gz and .zst compress it, - is a pipe.",
            show_default=False,
        ),
    ],
    *,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="jsonl: the ledger as it is, to be imported again. csv: for spreadsheets. ocel: OCEL 2.0, for process"
            " mining. cloudevents: CloudEvents 1.0. Default: csv for a name with .csv, else jsonl.",
            show_default=False,
        ),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    task: EventTaskFilter = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the town's events into a file: as a backup, for another machine, for a spreadsheet or another program.

    An export leaves a whole file or none, and replaces a file of the same name. `tt import ledger` makes a town from a
    jsonl file again if it was exported without --since and --task.
    """
    is_piped = file == PIPE
    if is_piped and as_json:
        message = "With - the events go to stdout, so --json cannot be printed there."
        raise typer.BadParameter(message)
    if is_piped and is_terminal():
        message = "- writes to a pipe, as in `tt export - | less`, and stdout is a terminal."
        raise typer.BadParameter(message)
    path = Path(file)
    chosen = form or (Format.JSONL if is_piped else format_of(path))
    first, last = (None if each is None else each.moment for each in (since, until))
    with opened(town, actor) as opened_town:
        say_choices(since, until)
        if is_piped:
            with progress_lines() as progress, bytes_out() as stream:
                opened_town.exports.export(stream, chosen, since=first, until=last, task=task, progress=progress)
            return
        with progress_lines() as progress:
            receipt = opened_town.exports.export(path, chosen, since=first, until=last, task=task, progress=progress)
        _say_receipt(opened_town, receipt, path, as_json=as_json)


def save(
    *,
    file: LedgerFileOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the whole ledger into a file that is fit for git: text, one event per line. `tt restore` imports it again.

    The same ledger gives the same bytes. A later save adds lines and changes only the last one.
    """
    with opened(town, actor) as opened_town:
        with progress_lines() as progress:
            receipt = opened_town.exports.save(file, progress=progress)
        _say_receipt(opened_town, receipt, opened_town.exports.saved_path(file), as_json=as_json)


def _say_receipt(town: Town, receipt: ExportReceipt, path: Path, *, as_json: bool) -> None:
    if as_json:
        say_json(export_shape(town, receipt, path))
        return
    last = f", the last at {receipt.position}" if receipt.events else ""
    size = "" if receipt.size_bytes is None else f", {counted(receipt.size_bytes, 'byte')}"
    say(
        f"{counted(receipt.events, 'event')} of {town.name}{last}, written to {visible(str(path))} as {receipt.format}{size}."
    )
