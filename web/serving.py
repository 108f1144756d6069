"""Serving: from a folder to a server that listens, until a stop signal."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from ledger import InvalidValueError
from town import ServePortError
from web.access import Tokens
from web.app import make_app
from web.connection import CONNECTIONS_MAX, Connection, OwnersConnection
from web.towns import ServedTown, Towns

LOOPBACK: Final = "127.0.0.1"
LOOPBACKS: Final = (LOOPBACK, "::1")
"""Addresses that only this machine reaches."""
_FILES_BESIDE: Final = 1_000
"""What is open beside connections: the page, the towns' servers, caches."""
_BACKLOG: Final = 256
_GRACE_SECONDS: Final = 3
_IDLE_SECONDS: Final = 15


def serve(
    towns: Sequence[ServedTown],
    *,
    port: int,
    host: str = LOOPBACK,
    token_file: Path | None = None,
    is_read_only: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Serve towns, the first one as the own one, at a port (0: a free one) until a stop signal; `tell` gets the address.

    InvalidValueError for an address that others reach, without tokens; ServePortError, TokenFileRefusedError.
    """
    host = LOOPBACK if host == "localhost" else host
    if host not in LOOPBACKS and token_file is None:
        raise InvalidValueError(
            "address",
            "is one that other machines may reach, so who asks has to be told apart",
            "Give --token-file FILE too.",
        )
    tokens = None if token_file is None else Tokens.read(token_file)
    _make_room()
    with _listening(host, port) as listening:
        bound = listening.getsockname()[1]
        hosts = [f"{name}:{bound}" for name in (LOOPBACK, "localhost", "[::1]")] if host in LOOPBACKS else None
        served = Towns({town.name: town for town in towns})
        app = make_app(served, hosts=hosts, tokens=tokens, is_read_only=is_read_only)
        config = uvicorn.Config(
            app,
            log_config=None,
            # Below that is only what clients did wrong, who could fill a log with it.
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            http=OwnersConnection if tokens is None else Connection,
            ws="none",
            limit_concurrency=CONNECTIONS_MAX + 1,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        tell(f"http://{f'[{host}]' if ':' in host else host}:{bound}/")
        try:
            _Server(config).run(sockets=[listening])
        finally:
            served.close()


class _Server(uvicorn.Server):
    """Ends at a stop signal as a command does: uvicorn would raise the signal once more when it has ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _make_room() -> None:
    """Let this process have as many files open as there may be connections, as far as the machine's limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + _FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens. ServePortError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small pieces at once only where the protocol is named; else each answer's body waits 40 ms for the client's word.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ServePortError(host, port, error) from error
    return listening
