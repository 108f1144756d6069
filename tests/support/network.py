"""A network between clients and servers that fails where a storm says so: a proxy before a server, which clients take for it.

Bytes are passed on as they come, by two threads for each connection. What servers say to each other does not come this way.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from random import Random
from typing import Final

HOST: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 65_536
_CONNECT_SECONDS_MAX: Final = 5.0
_SCRIPT: Final = b"EVALSHA"
"""What changes something is a script, or waits for one in a transaction."""
_RESET: Final = struct.pack("ii", 1, 0)
_LOCAL_ADDRESS, _INODE = 1, 9
"""Columns of /proc/net/tcp."""


class Way(Enum):
    """What becomes of what a client and a server say to each other."""

    OPEN = "it is passed on"
    CUT = "the connection is reset, and each new one"
    SILENT = "it is kept back, and the connection stays; it arrives when the way is open again"
    REQUEST_LOST = "the connection is reset in place of every other script, which the server never sees"
    REPLY_LOST = "the connection is reset in place of the reply to every other script, which the server carries out"


class Proxy:
    """Listens at a port of its own for the server at the port `upstream`, from when it is told that until it is closed."""

    def __init__(self, *, seed: object = 0) -> None:
        self._listener = socket.create_server((HOST, 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self.upstream = 0
        self.lost = 0
        """How many requests and replies were lost so far."""
        self._chance = Random(f"network {seed}")
        self._way = Way.OPEN
        self._processes: frozenset[int] = frozenset()
        self._changed = threading.Condition()
        self._links: set[_Link] = set()
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def turn(self, way: Way, *, processes: Iterable[int] = ()) -> None:
        """From now on this is the way, for the clients in these processes, or for all of them."""
        with self._changed:
            self._way, self._processes = way, frozenset(processes)
            of_them = ports_of(self._processes)
            for link in self._links:
                link.way = way if not self._processes or link.port in of_them else Way.OPEN
                if link.way is Way.CUT:
                    link.reset()
            self._changed.notify_all()

    def close(self) -> None:
        """Reset all connections, and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join()
        self.turn(Way.CUT)

    # --- for the connections -----------------------------------------------------------------------------------------

    def wait_until_heard(self, link: _Link) -> None:
        """Return once what was said on the connection may go on."""
        with self._changed:
            self._changed.wait_for(lambda: link.is_reset or link.way is not Way.SILENT)

    def loses(self, link: _Link, way: Way, piece: bytes) -> bool:
        """Whether this is the way of the connection, and a script is lost on it now."""
        if link.way is not way or _SCRIPT not in piece or self._chance.random() < 0.5:
            return False
        self.lost += 1
        return True

    def forget(self, link: _Link) -> None:
        with self._changed:
            self._links.discard(link)

    def _accept(self) -> None:
        while True:
            try:
                client, (_, port) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client, port), daemon=True).start()

    def _join(self, client: socket.socket, port: int) -> None:
        """Connect the client with the server, and pass on what they say."""
        link = _Link(self, client, port)
        with self._changed:
            is_meant = not self._processes or port in ports_of(self._processes)
            link.way = self._way if is_meant else Way.OPEN
            self._links.add(link)
            if link.way is Way.CUT:
                link.reset()
        link.run(self.upstream)


class _Link:
    """A client's connection, from its port, and the one to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, port: int) -> None:
        self.port = port
        self.way = Way.OPEN
        self.is_reset = False
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._is_reply_lost = False

    def run(self, upstream: int) -> None:
        """Pass on what is said, until one of them ends the connection or it is reset."""
        try:
            self._proxy.wait_until_heard(self)
            if self.is_reset:
                return
            with contextlib.suppress(OSError):
                self._server = socket.create_connection((HOST, upstream), _CONNECT_SECONDS_MAX)
            if self._server is None:
                # Nobody listens there, so the client is refused as well as can be.
                self.is_reset = True
                return
            for end in (self._client, self._server):
                with contextlib.suppress(OSError):
                    end.settimeout(None)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pass_replies, args=(self._server,), daemon=True)
            back.start()
            self._pass_requests(self._server)
            back.join()
        finally:
            self._proxy.forget(self)
            self._close()

    def reset(self) -> None:
        """Have both directions end, and the client be told so rudely."""
        self.is_reset = True
        self._end()

    def _pass_requests(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := self._client.recv(_CHUNK_BYTES):
                self._proxy.wait_until_heard(self)
                if self._proxy.loses(self, Way.REQUEST_LOST, piece):
                    self.reset()
                if self.is_reset:
                    break
                if self._proxy.loses(self, Way.REPLY_LOST, piece):
                    self._is_reply_lost = True
                server.sendall(piece)
        self._end()

    def _pass_replies(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_CHUNK_BYTES):
                self._proxy.wait_until_heard(self)
                if self._is_reply_lost:
                    self.reset()
                if self.is_reset:
                    break
                self._client.sendall(piece)
        self._end()

    def _end(self) -> None:
        """Wake both threads. Neither client nor server notices yet."""
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RD)

    def _close(self) -> None:
        for end in (self._client, self._server):
            if end is not None:
                with end, contextlib.suppress(OSError):
                    if self.is_reset:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def can_tell_clients_apart() -> bool:
    """Whether this system says which process has a connection."""
    return sys.platform == "linux"


def ports_of(processes: Iterable[int]) -> set[int]:
    """The ports of the connections that these processes have. Source: /proc/PID/fd and /proc/net/tcp."""
    inodes: set[str] = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
    if not inodes:
        return set()
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return {int(line[_LOCAL_ADDRESS].partition(":")[2], 16) for line in lines if line[_INODE] in inodes}
