"""Ports of this machine that no other test takes, in whatever process it runs.

A port that the kernel names as free may be taken before its server starts: by a connection, or by a server of another test.
A node of a cluster then speaks with a stranger. These lie below what the kernel gives away, and each is given once.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final

_FIRST: Final = 12_000
_END: Final = 32_000
_BLOCK: Final = 200


def take_port() -> int:
    """A port on loopback that nobody listens on, and that no other call of any process gives while this process lives."""
    return next(port for port in _ports if not _is_taken(port, socket.SOCK_STREAM))


def _own_ports() -> Iterator[int]:
    """The ports of blocks that are this process's own. A block is held by its first port, of datagrams, which no server here takes."""
    for first in range(_FIRST, _END, _BLOCK):
        if not _is_taken(first, socket.SOCK_DGRAM, is_kept=True):
            yield from range(first + 1, first + _BLOCK)


def _is_taken(port: int, kind: socket.SocketKind, *, is_kept: bool = False) -> bool:
    with closing(socket.socket(type=kind)) as found:
        if kind is socket.SOCK_STREAM:
            # As servers do: what is left of connections that have ended takes no port.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
        if is_kept:
            # The kernel closes it as the process ends, however it does.
            found.detach()
        return False


_ports: Final = _own_ports()
