"""`tt mcp`: the town for clients of the Model Context Protocol. What it needs is imported only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import TownOption
from cli.output import bytes_out, say_at_once
from town import McpMissingError, Town


def mcp(
    *,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=0,
            max=65_535,
            help="Serve over HTTP on this port of 127.0.0.1, and print the address; 0 picks a free one. Default: stdin and stdout.",
        ),
    ] = None,
    town: TownOption = None,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="Who acts. Default: each client, by the name that it gives."),
    ] = None,
) -> None:
    """Serve the town to agents over MCP, the Model Context Protocol: ten tools, and resources to subscribe to.

    Clients start it themselves: tell them to run tt mcp --town PATH. It needs the extra mcp of this package; without it, it says how to install that.

    With --http, your own programs on this machine can reach it, and act in the town as you could. Where the system does not tell whose a connection is, so can those of other users of the machine.
    """
    try:
        from agent_tools import serve_http, serve_stdio  # noqa: PLC0415 - slow to import, and an extra
    except ImportError as error:
        raise McpMissingError(str(error)) from error
    # A folder without a town, or a name that cannot be one, is said now, not at the first call.
    with Town.open(town, actor=actor) as opened_town:
        folder = opened_town.folder
    if http is not None:
        serve_http(folder, actor=actor, port=http, tell=say_at_once)
        return
    with bytes_out() as stdout:
        serve_stdio(folder, actor=actor, stdin=0, stdout=stdout)
