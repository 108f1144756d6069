"""The face for agents: a town's tasks as tools and resources of the Model Context Protocol, beside the command line.

It needs the extra `mcp`, so `tt mcp` imports it only when it is called.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
    from agent_tools.serving import serve_http, serve_stdio

__all__ = ["serve_http", "serve_stdio"]

open_front_door(__name__, {"serving": "serve_http serve_stdio"})
