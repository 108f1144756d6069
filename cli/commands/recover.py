"""Recover: appends again what was acknowledged on this machine and is gone from the server."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.exits import Exit, UsageError
from cli.options import ActorOption, JsonOption, TownOption
from cli.output import say, say_error, say_json, say_table, warn
from cli.session import opened
from cli.text import counted, event_number, short_id, visible
from ledger import TOWN_ID
from shapes.recovery import recovery_shape
from town import Fate, Gap, GoneEvent, Recovered, Town

GONE_SHOWN_MAX: Final = 50
_WILL: Final = {
    Fate.APPENDED: "will be appended again",
    Fate.THERE: "is there again",
    Fate.OVERTAKEN: "cannot be appended",
    Fate.WAITING: "cannot be appended yet",
    Fate.DAMAGED: "cannot be appended",
    Fate.UNKNOWN: "cannot be appended",
}
_WAS: Final = _WILL | {Fate.APPENDED: "appended again"}
_WOULD: Final = dict.fromkeys(Fate, "is given up") | {Fate.THERE: "is there again"}


def recover(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is gone, and what would be done.")] = False,
    accept_loss: Annotated[
        str | None,
        typer.Option(
            "--accept-loss",
            metavar="TOWN",
            help="Append nothing, and go on without what is gone. Name the town whose loss you accept.",
        ),
    ] = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append again what was acknowledged on this machine and is gone from the server.

    Commands that write are refused until that is done. What cannot be appended is named, and stays in this machine's receipts:
    its loss has to be accepted. Nothing in the ledger is changed or removed. Exit code 5 if something remains.
    """
    if dry_run and accept_loss is not None:
        message = "Give either --dry-run or --accept-loss."
        raise UsageError(message)
    with opened(town, actor) as opened_town:
        recovery = opened_town.recovery
        if dry_run:
            found = Recovered(recovery.look())
        elif accept_loss is not None:
            found = recovery.accept_loss(accept_loss)
        else:
            found = recovery.recover()
        # All of it is said here.
        opened_town.backend.receipts.missed = None
        if as_json:
            say_json(recovery_shape(opened_town, found, is_dry_run=dry_run))
        else:
            _say(opened_town, found, is_dry_run=dry_run)
    if found.gap.remaining and not (dry_run or found.is_accepted):
        raise typer.Exit(Exit.DAMAGED)


def _say(town: Town, found: Recovered, *, is_dry_run: bool) -> None:
    gap = found.gap
    if gap.damaged:
        warn(f"{counted(gap.damaged, 'receipt')} cannot be read: what they told of is not known here any more.")
    if not gap.events:
        say("Nothing is missing: the server has every event that this machine has a receipt of.")
        say("To take back tasks whose runner is gone: `tt reclaim`.")
        return
    _say_gap(gap)
    words = _WOULD if found.is_accepted else _WILL if is_dry_run else _WAS
    say_table(["EVENT", "TASK", "WHAT", "ACTOR", "NOW"], [_row(each, words) for each in gap.events[:GONE_SHOWN_MAX]])
    if len(gap.events) > GONE_SHOWN_MAX:
        warn(f"… and {len(gap.events) - GONE_SHOWN_MAX:,} more; --json lists them all.")
    if is_dry_run:
        _say_what_to_do(town, gap)
    elif found.is_accepted:
        kept = f" What they said is kept in {visible(found.kept_in)}." if found.kept_in else ""
        say(f"The loss of {counted(len(gap.lost), 'event')} is accepted.{kept}")
    else:
        _say_done(town, found)


def _say_gap(gap: Gap) -> None:
    last = gap.events[-1].position
    say(
        f"This town had events up to {last.seq:,}, and the server's ledger ends at {gap.end.seq:,}:"
        f" {counted(len(gap.events), 'event')} acknowledged here {'is' if len(gap.events) == 1 else 'are'} not where"
        f" {'it was' if len(gap.events) == 1 else 'they were'}."
    )
    if gap.unseen:
        were, them, they = ("was", "it", "it") if gap.unseen == 1 else ("were", "them", "they")
        warn(
            f"By the numbers there {were} {counted(gap.unseen, 'more event')}, and this machine has no receipt of {them}."
            f" The machines whose commands {they} {were} may have one: run `tt recover` there, too."
        )


def _say_what_to_do(town: Town, gap: Gap) -> None:
    again = len(gap.of(Fate.APPENDED))
    if again:
        say(f"`tt recover` appends {counted(again, 'event')} again, at the end. Nothing was changed yet.")
    if gap.lost:
        say(
            f"If the loss is meant, as after an older backup: `tt recover --accept-loss {visible(town.name)}` goes on without them."
        )
    else:
        say("`tt recover` notes that nothing is missing any more.")


def _say_done(town: Town, found: Recovered) -> None:
    gap = found.gap
    if found.position is not None:
        say(
            f"Appended {counted(len(found.appended), 'event')} again, after event {event_number(found.position)}, which names the gap."
        )
    elif not gap.remaining:
        say("They are all there again: nothing was left to append.")
    if gap.remaining:
        say_error(
            f"{counted(len(gap.remaining), 'event')} cannot be appended, and writing is refused until that is settled."
            + (
                " Where the missing versions are another machine's, run `tt recover` there, and here again."
                if gap.of(Fate.WAITING)
                else ""
            )
            + f" `tt recover --accept-loss {visible(town.name)}` goes on without them; what they said is kept."
        )


def _row(event: GoneEvent, words: dict[Fate, str]) -> list[str]:
    task = "" if event.task in ("", TOWN_ID) else short_id(event.task)
    now = f", as event {event_number(event.now)}" if event.fate is Fate.THERE and event.now is not None else ""
    why = f": {event.why}" if event.why else ""
    return [
        event_number(event.position),
        task,
        event.type.partition(".")[2],
        visible(event.actor),
        f"{words[event.fate]}{now}{visible(why)}",
    ]
