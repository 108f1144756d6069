"""`tt serve`: the town for browsers and programs, over HTTP. What it needs is imported only when it runs."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ActorOption, TownOption
from cli.output import say_at_once, warn
from cli.text import visible
from town import Town, TownNotFoundError, TownState, find_towns, start_of_search

if TYPE_CHECKING:
    from web import ServedTown

DEFAULT_PORT = 8_177


def serve(
    *,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65_535, help="The port; 0 picks a free one."),
    ] = DEFAULT_PORT,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="The address to listen on. Another one than this machine's own needs --token-file.",
        ),
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Only who has a token of this file may ask; its lines are NAME read|write TOKEN.",
        ),
    ] = None,
    is_read_only: Annotated[bool, typer.Option("--read-only", help="Refuse all changes.")] = False,
    serves_all: Annotated[bool, typer.Option("--all", help="Serve every town that `tt towns` lists.")] = False,
    is_opening: Annotated[bool, typer.Option("--open", help="Also open the page in your browser.")] = False,
    town: TownOption = None,
    actor: ActorOption = None,
) -> None:
    """Show the town in a browser: the board, live and at any moment of its past.

    It prints the address, and serves until Ctrl-C. The same address has a REST interface for programs, under /api/v1.

    With --all, the page of another town is at ?town=NAME, and its REST interface at /api/v1/towns/NAME.

    Without --token-file, only your own programs and browsers on this machine may use it; they act in the town as you could.
    """
    from web import serve  # noqa: PLC0415 - slow to import

    towns = _served_towns(town, actor) if serves_all else [_served_town(town, actor)]
    tell = _open_in_browser if is_opening else say_at_once
    serve(towns, port=port, host=host, token_file=token_file, is_read_only=is_read_only, tell=tell)


def _served_town(town: Path | None, actor: str | None) -> ServedTown:
    from web import ServedTown  # noqa: PLC0415 - as above

    with Town.open(town, actor=actor) as opened_town:
        return ServedTown(opened_town.folder, opened_town.name, actor=actor)


def _served_towns(town: Path | None, actor: str | None) -> list[ServedTown]:
    """All registered towns; that of `town`, or of this folder if it is in one, comes first."""
    from web import ServedTown  # noqa: PLC0415 - as above

    own: list[ServedTown] = []
    with nullcontext() if town is not None else suppress(TownNotFoundError):
        own.append(_served_town(town, actor))
    served = {each.name: each for each in own}
    for found in find_towns():
        if found.state is TownState.GONE:
            warn(f"{visible(found.name)}: the folder {visible(found.path)} is gone; it is left out.")
            continue
        folder = Path(found.path)
        first = served.setdefault(found.name, ServedTown(folder, found.name, actor=actor))
        if first.folder != folder:
            warn(
                f"{visible(found.name)}: {visible(found.path)} is left out, because {first.folder} has a town of this name."
            )
    if not served:
        raise TownNotFoundError(start_of_search(town))
    return list(served.values())


def _open_in_browser(address: str) -> None:
    import webbrowser  # noqa: PLC0415 - few ask for it

    say_at_once(address)
    if not webbrowser.open(address):
        warn("No browser was found. Open the address in yours.")
