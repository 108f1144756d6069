"""`tt import` and `tt restore`: a ledger's file, and tasks from other trackers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from cli.moments import say_choices
from cli.options import ActorOption, JsonOption, LedgerFileOption, PruneOption, TownOption, When, parse_when
from cli.output import progress_lines, say, say_json, warn
from cli.session import opened
from cli.text import counted, visible
from ledger import Position, State
from shapes.imports import import_shape, ledger_import_shape
from town import ImportReceipt, LedgerReceipt, Now, Town

PIPE: Final = "-"
LEFT_OUT_SHOWN_MAX = 10
KINDS_SHOWN_MAX = 10
FIELDS_SHOWN_MAX = 100
TOMBSTONE: Final = "tombstone"
DAMAGE_SHOWN_MAX = 3
_KIND_CHARS_SHOWN = 64


def beads(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The export: JSON lines, one issue per line.", show_default=False)
    ],
    *,
    prune: PruneOption = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let --prune remove them all if the file has no issues.")
    ] = False,
    backdate: Annotated[
        When | None,
        typer.Option(
            "--backdate",
            metavar="WHEN",
            parser=parse_when,
            help="Record the events at this time; not before the last event.",
        ),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            metavar="STATUS=STATE",
            help="What a status of your own means here, as verify=running; may be given several times.",
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Put bad lines into FILE.bad, and import the others.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import an export of the Beads tracker: change the town's tasks to match it. Importing it again appends nothing.

    All or nothing: a bad line is reported with its number, and nothing is imported, unless --skip-bad leaves such lines out.
    What an issue says and a task has no place for is named at the end, with counts.
    """
    statuses = _states(status or [])
    with opened(town, actor) as opened_town:
        receipt = opened_town.imports.beads(
            file,
            prune=prune,
            allow_empty=allow_empty,
            backdate=_time(backdate),
            statuses=statuses,
            skip_bad=skip_bad,
        )
        if as_json:
            say_json(import_shape(opened_town, receipt))
            return
        if receipt.positions:
            say(
                f"{counted(receipt.tasks, 'task')} in the file: {receipt.created:,} created, {receipt.changed:,} changed,"
                f" {receipt.removed:,} removed, by {counted(len(receipt.positions), 'event')},"
                f" the last at {receipt.positions[-1]}."
            )
        else:
            say(f"{counted(receipt.tasks, 'task')} in the file, all as in the town; nothing was appended.")
        _warn_of_rest(receipt)


def ledger(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="What `tt export` or `tt save` wrote; .gz and .zst are unpacked, - is a pipe.",
            show_default=False,
        ),
    ],
    *,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a ledger's file: the same events at the same positions, byte for byte. Importing it again appends nothing.

    A new town becomes a copy of the other town, with its whole past. If the town has a part of the events already, the
    import appends what is missing at the end; the rest must be the same. A file that was changed or cut short is refused
    with the line, and nothing is imported.
    """
    source = _source(file)
    with opened(town, actor) as opened_town:
        with progress_lines() as progress:
            receipt = opened_town.imports.ledger(source, progress=progress)
        _say_ledger(opened_town, receipt, as_json=as_json)


def restore(
    *,
    file: LedgerFileOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import what `tt save` wrote: as `tt import ledger`, from ledger.jsonl in the town's folder."""
    with opened(town, actor) as opened_town:
        with progress_lines() as progress:
            receipt = opened_town.imports.restore(file, progress=progress)
        _say_ledger(opened_town, receipt, as_json=as_json)


def _source(file: str) -> Path | BinaryIO:
    """The file, or what is in the pipe."""
    if file != PIPE:
        return Path(file)
    if sys.stdin is None or sys.stdin.isatty():
        state = "closed" if sys.stdin is None else "a terminal"
        message = f"- reads from a pipe, as in `zcat FILE | tt import ledger -`, and stdin is {state}."
        raise typer.BadParameter(message)
    return sys.stdin.buffer


def _say_ledger(town: Town, receipt: LedgerReceipt, *, as_json: bool) -> None:
    """Project what was appended, so that every reader sees it, and say what was in the file."""
    town.upkeep.catch_up()
    if as_json:
        say_json(ledger_import_shape(town, receipt))
        return
    known = receipt.events - receipt.appended
    what = (
        f"{counted(receipt.appended, 'event')} appended, the last at {receipt.position}"
        if receipt.appended
        else "nothing was appended"
    )
    had = (
        "" if not known else ", all in the town already" if not receipt.appended else f", {known:,} in the town already"
    )
    say(f"{counted(receipt.events, 'event')} of {counted(receipt.tasks, 'task')} in the file{had}; {what}.")
    for finding in receipt.damage[:DAMAGE_SHOWN_MAX]:
        warn(f"{finding.where}: {finding.problem}")
    if receipt.damage:
        more = len(receipt.damage) - DAMAGE_SHOWN_MAX
        rest = f"… and {more:,} more. " if more > 0 else ""
        warn(f"{rest}Damaged events were imported as they are in the file; `tt verify` names all of them.")


def _states(given: Sequence[str]) -> dict[str, State]:
    """Status -> the state that it means."""
    known = {str(state): state for state in State}
    states: dict[str, State] = {}
    for each in given:
        status, _, word = each.rpartition("=")
        state = known.get(word.strip())
        if not status.strip() or state is None:
            message = f"{each!r} is not STATUS=STATE, where STATE is one of {', '.join(known)}."
            raise typer.BadParameter(message, param_hint="--status")
        if status.strip() == TOMBSTONE:
            message = f"{TOMBSTONE} means that the issue was removed, and nothing else."
            raise typer.BadParameter(message, param_hint="--status")
        if states.setdefault(status.strip(), state) is not state:
            message = f"{status.strip()!r} is given twice, with two states."
            raise typer.BadParameter(message, param_hint="--status")
    return states


def _warn_of_rest(receipt: ImportReceipt) -> None:
    """Warn about what was left out or changed."""
    _warn_of_each("Parent left out", receipt.left_out, "parent")
    _warn_of_each("Link left out", receipt.links_left_out, "link")
    _warn_of_each("Cut", receipt.texts_cut, "text")
    _warn_of_each("Bad line skipped", receipt.bad_lines, "bad line")
    if receipt.bad_lines:
        warn(f"{counted(len(receipt.bad_lines), 'bad line')} skipped, and kept in {visible(str(receipt.set_aside))}.")
    if receipt.skipped:
        warn(f"{counted(sum(receipt.skipped.values()), 'line')} of other kinds skipped: {_kinds(receipt.skipped)}.")
    if receipt.labels_trimmed:
        warn(f"{counted(receipt.labels_trimmed, 'label')} trimmed of blanks.")
    if receipt.labels_dropped:
        warn(f"{counted(receipt.labels_dropped, 'empty label')} left out.")
    if receipt.no_place:
        warn(f"A task has no place for: {_fields(receipt.no_place)}.")


def _warn_of_each(words: str, left_out: Sequence[str], what: str) -> None:
    for each in left_out[:LEFT_OUT_SHOWN_MAX]:
        warn(f"{words}: {visible(each)}")
    if len(left_out) > LEFT_OUT_SHOWN_MAX:
        more = counted(len(left_out) - LEFT_OUT_SHOWN_MAX, f"more {what}")
        warn(f"… and {more} {words.lower().removeprefix(f'{what} ')}; --json lists them all.")


def _kinds(counts: Mapping[str, int]) -> str:
    """`2 memory, 1 tip`"""
    kinds = ", ".join(
        f"{number:,} {_shortened(visible(kind)) or 'without a name'}"
        for kind, number in list(counts.items())[:KINDS_SHOWN_MAX]
    )
    left = len(counts) - KINDS_SHOWN_MAX
    return f"{kinds} … and {left:,} more; --json lists them all" if left > 0 else kinds


def _fields(counts: Mapping[str, int]) -> str:
    """`created_at (325), owner (2)`: those that are most often there first."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    fields = ", ".join(f"{_shortened(visible(name))} ({number:,})" for name, number in ordered[:FIELDS_SHOWN_MAX])
    left = len(counts) - FIELDS_SHOWN_MAX
    return f"{fields} … and {left:,} more; --json lists them all" if left > 0 else fields


def _shortened(kind: str) -> str:
    return kind if len(kind) <= _KIND_CHARS_SHOWN else f"{kind[: _KIND_CHARS_SHOWN - 1]}…"


def _time(when: When | None) -> datetime | None:
    """A time to record; a position or an event number names an event, not a time to give to others."""
    if when is None:
        return None
    moment = when.moment
    if isinstance(moment, datetime):
        say_choices(when)
        return moment
    if isinstance(moment, Position):
        return moment.time
    if moment is Now.NOW:
        return datetime.now(UTC)
    message = f"{when.text!r} names an event, not a time. Give a time like 2026-11-24 17:00, yesterday or tue 17:00, or an age like 2h."
    raise typer.BadParameter(message)
