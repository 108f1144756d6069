"""Fork: a new town that begins with this one's events and goes on from there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.moments import say_choices
from cli.options import ActorOption, JsonOption, TownOption, When, parse_when
from cli.output import progress_lines, say, say_json, warn
from cli.session import PROGRESS_EVENTS_MIN, opened
from cli.text import counted, visible
from ledger import Position
from shapes.towns import fork_shape
from town import WHEN_HELP, Fork, Town, local_time


def fork(
    name: Annotated[str, typer.Argument(metavar="NEW-TOWN", help="The new town's name.", show_default=False)],
    *,
    at: Annotated[
        When | None,
        typer.Option(
            "--at", metavar="WHEN", parser=parse_when, help=f"Only the events up to this moment: {WHEN_HELP}."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="PATH",
            help="A folder for the new town, with a server of its own. Default: NEW-TOWN, here.",
        ),
    ] = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new town with the same events up to a moment, which goes on from there. This town stays as it is.

    Without --folder the new town is on the server of this one, and its folder is NEW-TOWN in the current folder.

    If the command ends with an error, it has made nothing. If it was cut off, give the same command again.
    """
    with opened(town, actor) as source:
        say_choices(at)
        with progress_lines() as show:

            def show_step(what: str, reached: Position, goal: Position) -> None:
                if goal.seq >= PROGRESS_EVENTS_MIN:
                    show(what, reached.seq, goal.seq)

            moment = None if at is None else at.moment
            made = source.fork(name, at=moment, folder=folder, progress=partial(show_step, "Copying"))
            made.town.upkeep.progress = partial(show_step, "Projecting")
            with _closed_on_error(made.town):
                made.town.upkeep.catch_up()
        with made.town as new:
            _say_fork(source, new, made, as_json=as_json)


@contextmanager
def _closed_on_error(town: Town) -> Iterator[None]:
    try:
        yield
    except BaseException:
        town.close()
        raise


def _say_fork(source: Town, new: Town, made: Fork, *, as_json: bool) -> None:
    if made.was_unfinished:
        warn(f"An earlier fork to {new.name} was not finished: what it had left was put right.")
    if new.unlisted is not None:
        warn(new.unlisted)
    if as_json:
        say_json(fork_shape(source, made))
        return
    moment = f"event {made.position.seq:,}, {local_time(made.position.time)}"
    say(f"Town {new.name} is ready in {visible(str(new.folder))}: as {source.name} was after {moment}.")
    say(f"It has {counted(made.position.seq, 'event')} in common with it, and goes on from there.")
    say(f"Next: tt tasks --town {visible(shlex.quote(str(new.folder)))}")
