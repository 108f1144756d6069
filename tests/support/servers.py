"""Starts real servers for tests, and stops them whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from town.folder import SOCKET_FILE
from town.server import EmbeddedServer


@contextmanager
def running_server(folder: Path) -> Iterator[Path]:
    """An embedded server in `folder`; yields its socket. It is shut down at the end."""
    server = EmbeddedServer(folder)
    server.start()
    try:
        yield folder / SOCKET_FILE
    finally:
        stop_server(folder)


def stop_server(folder: Path) -> None:
    """Shut the server of `folder` down and wait until it is gone; nothing happens where none runs."""
    server = EmbeddedServer(folder)
    if not server.is_running():
        return
    client = redis.Redis(unix_socket_path=str(folder / SOCKET_FILE))
    with suppress(redis.ConnectionError):
        client.shutdown(nosave=True)
    client.close()
    server.wait_stopped()
