"""A stand-in between a client and the real server that loses requests and replies where a test says so."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Final

import ledger.lua.append
from ledger import script_source
from tests.support.wire import read_command, write_command

APPEND_SHA: Final = hashlib.sha1(script_source(ledger.lua.append.__file__).encode()).hexdigest().encode()
_CHUNK_BYTES: Final = 65_536


class Fault(Enum):
    """What happens to one append's request."""

    CUT_BEFORE = "the connection ends, and the server never sees the request"
    CUT_AFTER = "the server carries it out, and the connection ends before the reply"
    LATE_FIRST = "the connection ends; the request reaches the server right before the next append's"
    LATE_LAST = "the connection ends; the request reaches the server right after the next append's"


class Proxy:
    """Listens at `path` for the server at `upstream`. `faults` says what happens to the 1st, 2nd, … append it sees.

    `on_cut` is called when a request was lost or carried out and the client does not know it yet.
    """

    def __init__(
        self, path: Path, upstream: Path, faults: Mapping[int, Fault], on_cut: Callable[[], None] | None = None
    ) -> None:
        self._upstream = upstream
        self._faults = faults
        self._on_cut = on_cut
        self.appends_seen = 0
        self._late: tuple[Fault, bytes] | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as requests, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._upstream))
            while command := read_command(requests):
                if not self._pass_on(command, client, server):
                    return

    def _pass_on(self, command: list[bytes], client: socket.socket, server: socket.socket) -> bool:
        """Carry one command out, or lose it; whether the connection goes on."""
        request = write_command(command)
        if command[:2] != [b"EVALSHA", APPEND_SHA]:
            client.sendall(_ask(server, request))
            return True
        self.appends_seen += 1
        late, self._late = self._late, None
        if late is not None and late[0] is Fault.LATE_FIRST:
            _ask(server, late[1])
        fault = self._faults.get(self.appends_seen)
        if fault is None:
            reply = _ask(server, request)
            if late is not None and late[0] is Fault.LATE_LAST:
                _ask(server, late[1])
            client.sendall(reply)
            return True
        self._lose(fault, request, server)
        return False

    def _lose(self, fault: Fault, request: bytes, server: socket.socket) -> None:
        if fault is Fault.CUT_AFTER:
            _ask(server, request)
        elif fault is not Fault.CUT_BEFORE:
            self._late = fault, request
        if self._on_cut is not None:
            self._on_cut()


@contextmanager
def proxy(
    path: Path, upstream: Path, faults: Mapping[int, Fault], on_cut: Callable[[], None] | None = None
) -> Iterator[Proxy]:
    """A proxy that is closed at the end."""
    stand_in = Proxy(path, upstream, faults, on_cut)
    try:
        yield stand_in
    finally:
        stand_in.close()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _ask(server: socket.socket, request: bytes) -> bytes:
    """The server's whole reply to one request."""
    server.sendall(request)
    with server.makefile("rb") as replies:
        return _read_reply(replies.readline, replies.read)


def _read_reply(read_line: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
    line = read_line()
    count = int(line[1:]) if line[:1] in b"$*" else -1
    if count < 0:
        return line
    if line.startswith(b"$"):
        return line + read(count + 2)
    return line + b"".join(_read_reply(read_line, read) for _ in range(count))
