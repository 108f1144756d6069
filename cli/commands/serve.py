"""`tt serve`: the town for browsers and programs, over HTTP. What it needs is imported only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import ActorOption, TownOption
from cli.output import say_at_once
from town import Town

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
    town: TownOption = None,
    actor: ActorOption = None,
) -> None:
    """Show the town in a browser: the board, live and at any moment of its past.

    It prints the address, and serves until Ctrl-C. The same address has a REST interface for programs, under /api/v1.

    Without --token-file, only programs and browsers of this machine reach it, and act in the town as you could.
    """
    from web import ServedTown, serve  # noqa: PLC0415 - slow to import

    with Town.open(town, actor=actor) as opened_town:
        served = ServedTown(opened_town.folder, opened_town.name, actor=actor)
    serve([served], port=port, host=host, token_file=token_file, is_read_only=is_read_only, tell=say_at_once)
