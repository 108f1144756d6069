"""Serving: over stdin and stdout, for the client that started the program, or over HTTP on this machine."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Final, cast

import anyio
import uvicorn
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_tools.server import TownServer
from town import McpPortError, is_of_another_user

LOOPBACK: Final = "127.0.0.1"
LINE_BYTES_MAX: Final = 8 << 20
"""A client whose message is longer is no client; the server ends."""
_READ_BYTES: Final = 64 << 10
_GRACE_SECONDS: Final = 3


def serve_stdio(path: Path | None, *, actor: str | None, stdin: int, stdout: BinaryIO) -> None:
    """Serve the client at the other end of the descriptor `stdin` and of `stdout`, until stdin ends."""
    server = TownServer(path, actor).make()

    async def serve() -> None:
        lines = cast("anyio.AsyncFile[str]", _lines_of(stdin))
        out = anyio.wrap_file(io.TextIOWrapper(stdout, encoding="utf-8", newline="\n"))
        async with stdio_server(lines, out) as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


def serve_http(path: Path | None, *, actor: str | None, port: int, tell: Callable[[str], None]) -> None:
    """Serve clients on this machine at a port (0: a free one) until a stop signal; `tell` gets the address. McpPortError.

    A page in a browser cannot reach it: requests have to name this machine as their host, and as their origin if they have
    one.
    """
    server = TownServer(path, actor).make()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
            listening.listen()
        except (OSError, OverflowError) as error:
            raise McpPortError(port, error) from error
        bound = listening.getsockname()[1]
        hosts = [f"{name}:{bound}" for name in (LOOPBACK, "localhost")]
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=hosts,
            allowed_origins=[f"http://{host}" for host in hosts],
        )
        app = server.streamable_http_app(transport_security=security, host=LOOPBACK)
        config = uvicorn.Config(
            _owners_alone(app),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        tell(f"http://{LOOPBACK}:{bound}/mcp")
        uvicorn.Server(config).run(sockets=[listening])


def _owners_alone(app: ASGIApp) -> ASGIApp:
    """The application, for the user who started it, as far as the system tells whose a connection is."""
    refusal = PlainTextResponse("This is another user's town: it answers only the user who started tt mcp.\n", 403)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        peer, own = scope.get("client"), scope.get("server")
        is_strange = scope["type"] == "http" and peer and own and is_of_another_user(tuple(peer), tuple(own))
        await (refusal if is_strange else app)(scope, receive, send)

    return answer


async def _lines_of(descriptor: int) -> AsyncIterator[str]:
    """The lines of a descriptor, which end with one that is too long. Its thread does not keep the program from ending while it waits."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)

    def put(line: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    def read() -> None:
        rest = b""
        try:
            while piece := os.read(descriptor, _READ_BYTES):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    put(line)
                if len(rest) > LINE_BYTES_MAX:
                    rest = b""
                    break
            put(rest or None)
            put(None)
        except (OSError, RuntimeError):
            # The loop has ended, or nobody can read from the descriptor.
            return

    Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line.decode(errors="replace")
