"""Ends: how many events each of many towns on one server has, in one exchange that costs next to nothing if none has a new one.

The request is packed once. If the reply is that of the last time, byte for byte, nothing is read from it. So thousands of idle
towns cost one write, one read and one comparison.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import redis

from ledger import Keys, redis_errors
from town.server.bounded_client import LOOK_SECONDS
from town.server.bounds import EXCHANGE_SECONDS_MAX

if TYPE_CHECKING:
    from redis.connection import Connection

TOWNS_PER_EXCHANGE_MAX: Final = 5_000
"""So many replies fit into the buffers of a connection, so that neither side waits for the other."""
_LINE_BYTES_MAX: Final = 1_024
_STOP_SECONDS: Final = 0.1
"""How often it is looked whether to stop."""
_BUFFER_BYTES: Final = 65_536


class Refused:
    """The server's refusal to tell a town's end, in its words."""

    def __init__(self, words: str) -> None:
        self.words = words

    @property
    def is_elsewhere(self) -> bool:
        """Whether another server has the town, or this one cannot tell now."""
        return self.words.startswith(("MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"))


End = int | Refused
"""How many events a town has."""


class _Batch:
    """Some of the towns, their packed request, and the last reply to it."""

    def __init__(self, towns: Sequence[Keys]) -> None:
        self.towns = towns
        self.request = b"".join(packed(each) for each in towns)
        self.reply = b""
        self.ends: list[End] = []


class Ends:
    """The ends of `towns`, all on the server of `client`. `stop` ends a wait. `where` names the server in messages."""

    def __init__(self, client: redis.Redis, towns: Sequence[Keys], *, stop: threading.Event, where: str) -> None:
        self.client = client
        self._stop = stop
        self._where = where
        self._connection: Connection | None = None
        self._batches = [
            _Batch(towns[first : first + TOWNS_PER_EXCHANGE_MAX])
            for first in range(0, len(towns), TOWNS_PER_EXCHANGE_MAX)
        ]

    def changed(self) -> list[tuple[Keys, End]]:
        """The towns whose number of events is not that of the last call, each with it; at first all. StoreUnavailableError."""
        found: list[tuple[Keys, End]] = []
        try:
            with redis_errors(self._where):
                for batch in self._batches:
                    found += self._changed_in(batch)
        except BaseException:
            # What is still to come must not be taken for an answer.
            self.close()
            raise
        return found

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            with suppress(redis.RedisError):
                self._connection.disconnect()  # type: ignore[no-untyped-call]
            self.client.connection_pool.release(self._connection)
            self._connection = None

    def _changed_in(self, batch: _Batch) -> list[tuple[Keys, End]]:
        reply = self._exchange(batch)
        if reply == batch.reply:
            return []
        ends = [_end(line) for line in reply.split(b"\r\n")[:-1]]
        before: Sequence[End | None] = batch.ends or [None] * len(ends)
        batch.reply, batch.ends = reply, ends
        return [
            (keys, end)
            for keys, end, known in zip(batch.towns, ends, before, strict=True)
            if end != known or isinstance(end, Refused)
        ]

    def _exchange(self, batch: _Batch) -> bytes:
        """One line for each town."""
        if self._connection is None:
            self._connection = self.client.connection_pool.get_connection()
        sock: Any = self._connection._sock  # noqa: SLF001 - redis-py would parse each reply
        sock.settimeout(EXCHANGE_SECONDS_MAX)
        deadline = time.monotonic() + EXCHANGE_SECONDS_MAX
        try:
            sock.sendall(batch.request)
            received, lines = bytearray(), 0
            while not batch.reply or received != batch.reply:
                if (lines := received.count(b"\r\n")) >= len(batch.towns):
                    break
                self._receive(sock, received, deadline)
                if len(received) > _LINE_BYTES_MAX * len(batch.towns):
                    raise redis.InvalidResponse("answered XLEN with something else than that command is answered with")
        except OSError as error:
            raise redis.ConnectionError(error.strerror or str(error)) from error
        if lines > len(batch.towns):
            raise redis.InvalidResponse("answered XLEN with more than that command is answered with")
        return bytes(received)

    def _receive(self, sock: Any, received: bytearray, deadline: float) -> None:  # noqa: ANN401 - plain or TLS
        """Add what comes next. redis-py's ConnectionError at the deadline, or once it is to stop."""
        look_at = time.monotonic() + LOOK_SECONDS
        while not self._stop.is_set() and time.monotonic() < deadline:
            sock.settimeout(_STOP_SECONDS)
            try:
                piece = sock.recv(_BUFFER_BYTES)
            except TimeoutError:
                if time.monotonic() > look_at:
                    self._look_after_server()
                    look_at = time.monotonic() + LOOK_SECONDS
                continue
            if not piece:
                raise redis.ConnectionError("it closed the connection")
            received += piece
            return
        raise redis.TimeoutError("it did not answer in time")

    def _look_after_server(self) -> None:
        connection: Any = self._connection  # which is `Bounded`
        connection.look_after_server()


def packed(keys: Keys) -> bytes:
    """The request for one town's end. Source: XLEN, which never goes down, because nothing is deleted from a ledger."""
    key = keys.ledger.encode()
    return b"*2\r\n$4\r\nXLEN\r\n$%d\r\n%b\r\n" % (len(key), key)


def _end(line: bytes) -> End:
    if line[:1] == b":" and line[1:].isdigit():
        return int(line[1:])
    if line[:1] != b"-":
        raise redis.InvalidResponse("answered XLEN with something else than that command is answered with")
    return Refused(line[1:].decode(errors="replace"))
