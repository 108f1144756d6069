"""Starts real servers for tests, and stops them whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from town.folder.settings import SOCKET_FILE
from town.server.own_server import EmbeddedServer


@contextmanager
def running_server(folder: Path) -> Iterator[Path]:
    """An embedded server in `folder`; yields its socket. It is shut down at the end."""
    server = EmbeddedServer(folder)
    server.start()
    try:
        yield folder / SOCKET_FILE
    finally:
        server.stop()
