"""A server that says what a test wants: for what no real server in reach does, such as being too old."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final

from tests.support.wire import read_command

_OK: Final = b"+OK\r\n"


class StubServer:
    """Answers each command by name with the next of its replies, the last one for ever; everything else with `otherwise`."""

    def __init__(self, replies: Mapping[bytes, Sequence[bytes]], *, otherwise: bytes = _OK) -> None:
        self._otherwise = otherwise
        # No town of it moves.
        self._replies = {b"GET": [b"$-1\r\n"]} | {name: list(answers) for name, answers in replies.items()}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[bytes] = []
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

    def _serve(self, connection: socket.socket) -> None:
        # Otherwise the second of several short replies waits 40 ms, until the client acknowledges the first.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as requests:
            for command in _commands(requests):
                name = command[0].upper()
                self.asked.append(name)
                answers = self._replies.get(name, [self._otherwise])
                connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])


@contextmanager
def stub_server(replies: Mapping[bytes, Sequence[bytes]], *, otherwise: bytes = _OK) -> Iterator[StubServer]:
    """A stub server on a free port of this machine."""
    server = StubServer(replies, otherwise=otherwise)
    try:
        yield server
    finally:
        server.close()


def bulk(text: str) -> bytes:
    """A reply that is a text."""
    return b"$%d\r\n%b\r\n" % (len(text.encode()), text.encode())


def _commands(requests: BinaryIO) -> Iterator[list[bytes]]:
    while command := read_command(requests):
        yield command
