"""Move-town: takes a town to another server or cluster, or back to a server of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import ActorOption, JsonOption, TownOption
from cli.output import progress_lines, say, say_json
from cli.session import PROGRESS_EVENTS_MIN
from cli.text import counted, visible
from shapes.towns import move_shape
from town import Move, move_town


def move(
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="The server, cluster or sentinels to move to.", show_default=False),
    ] = None,
    *,
    to_own_server: Annotated[
        bool, typer.Option("--own-server", help="Move to a server of the town's own, in its folder.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be moved.")] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the town to another server or cluster: the same events at the same positions. Others go on meanwhile.

    Events are copied and verified first; then writers wait for a moment, and tinytown.toml names the new place. What is left at the
    old one takes no more events, says where the town went, and is never deleted. If it was cut off, give the same command again.
    """
    if (url is None) != to_own_server:
        message = "Give either a URL or --own-server."
        raise typer.BadParameter(message)
    with progress_lines() as show:

        def show_step(what: str, done: int, total: int) -> None:
            if total >= PROGRESS_EVENTS_MIN:
                show(what, done, total)

        moved = move_town(town, url, actor=actor, is_dry=dry_run, progress=show_step)
    if as_json:
        say_json(move_shape(moved))
        return
    for line in _lines(moved):
        say(line)


def _lines(moved: Move) -> list[str]:
    target, events = visible(moved.target), counted(moved.events, "event")
    if not moved.is_done and moved.is_finished_only:
        return [f"Town {moved.town} has left for {target} already; the last steps of that move would be done."]
    if not moved.is_done:
        return [f"Town {moved.town} would move to {target}: {events}, {moved.copied:,} of them to copy."]
    if moved.is_finished_only:
        return [f"Town {moved.town} is at {target} now, with {events}: the move had been cut off before its end."]
    waited = f"Writers waited for {moved.closed_ms:,} ms."
    return [
        f"Town {moved.town} is at {target} now, with {events}, {moved.copied:,} of them copied. {waited}",
        f"What is left at {visible(moved.source)} takes no more events, and was not deleted.",
    ]
