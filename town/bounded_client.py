"""A client whose exchanges end: each has a deadline as a whole, and a reply has a size that it may not go beyond.

redis-py bounds each read of the socket alone, so a server that sends a byte now and then keeps a command for ever, and one
that sends without an end fills the memory.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

import redis
from redis._parsers import _HiredisParser
from redis._parsers.socket import SENTINEL
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from ledger import ExplainedConnectionError, StoreUnavailableError

EXCHANGE_SECONDS_MAX: Final = 60
"""From the first wait after a command was sent to the last reply."""
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
OWN_REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
"""Of the town's own server, whose socket is this user's alone."""
REPLY_ELEMENTS_MAX: Final = 16 * 1024 * 1024
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as Linux gives them."""
Explain = Callable[[int | None], StoreUnavailableError | None]
"""From the process of a server that is gone, where it is known, to how it ended, where that is known."""
_ANNOUNCED: Final = re.compile(rb"([*%~>|$=])(\d{1,20})\r\n")


class ReplyRefusedError(redis.ConnectionError):
    """The server sends more than a reply may have."""


class _BoundedParser(_HiredisParser):
    """hiredis' reader, fed until the deadline, and with no more than `reply_bytes_max` for one reply."""

    reply_bytes_max = REPLY_BYTES_MAX

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)  # type: ignore[no-untyped-call]
        self.deadline: float | None = None
        """None from when something is sent until its replies are waited for: a reader may pause in between."""
        self._received = 0

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        self._received = 0
        try:
            return super().read_response(*arguments, **options)  # type: ignore[no-untyped-call]
        except (MemoryError, RecursionError, SystemError) as error:
            raise ReplyRefusedError("its reply announces more than this machine can hold") from error

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> bool:
        if timeout is not SENTINEL:
            return bool(super().read_from_socket(timeout, raise_on_timeout))  # type: ignore[no-untyped-call]
        if self.deadline is None:
            self.deadline = time.monotonic() + EXCHANGE_SECONDS_MAX
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise redis.TimeoutError(f"its reply was not there after {EXCHANGE_SECONDS_MAX} s")
        self._sock.settimeout(left)
        try:
            received = self._sock.recv_into(self._buffer)
        except TimeoutError:
            raise redis.TimeoutError(f"its reply was not there after {EXCHANGE_SECONDS_MAX} s") from None
        except OSError as error:
            raise redis.ConnectionError(f"Error while reading: {error.strerror or error}") from error
        if received == 0:
            raise redis.ConnectionError("it closed the connection")
        if self._received == 0:
            self._refuse_announced(received)
        self._received += received
        if self._received > self.reply_bytes_max:
            raise ReplyRefusedError(f"its reply has more than {self.reply_bytes_max:,} bytes")
        self._reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]  # any buffer is taken
        return True

    def _refuse_announced(self, received: int) -> None:
        """ReplyRefusedError where a reply's first line announces more than it may have."""
        announced = _ANNOUNCED.match(self._buffer, 0, received)
        if announced is None:
            return
        is_text, count = announced[1] in b"$=", int(announced[2])
        if count > (self.reply_bytes_max if is_text else REPLY_ELEMENTS_MAX):
            raise ReplyRefusedError(f"its reply announces {count:,} {'bytes' if is_text else 'elements'}")


class _OwnParser(_BoundedParser):
    reply_bytes_max = OWN_REPLY_BYTES_MAX


class _Bounded:
    """A connection that has another deadline whenever it sends."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        super().send_packed_command(command, check_health)  # type: ignore[misc]
        self._parser.deadline = None  # type: ignore[attr-defined]


class _BoundedConnection(_Bounded, Connection):
    """Over TCP."""


class _BoundedSSLConnection(_Bounded, SSLConnection):
    """Over TLS."""


class _BoundedSocketConnection(_Bounded, UnixDomainSocketConnection):
    """Over a socket of this machine."""


class _OwnSocketConnection(_BoundedSocketConnection):
    """To the town's own server: where it is lost, `explain` is asked how the server ended."""

    def __init__(self, *, explain: Explain, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._explain = explain
        self._process: int | None = None
        """The server it was connected to last: where that cannot be reached again, its end is asked for."""

    def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        try:
            super().connect_check_health(*arguments, **options)
        except redis.ConnectionError as error:
            self._raise_explained(error)
            raise
        self._process = process_behind(self._sock)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            super().send_packed_command(command, check_health)
        except redis.ConnectionError as error:
            self._raise_explained(error)
            raise

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)  # type: ignore[no-untyped-call]
        except redis.ConnectionError as error:
            self._raise_explained(error)
            raise

    def _raise_explained(self, error: redis.ConnectionError) -> None:
        """ExplainedConnectionError where it is known why; not for an error of another kind, such as LOADING."""
        explanation = self._explain(self._process) if type(error) is redis.ConnectionError else None
        if explanation is not None:
            raise ExplainedConnectionError(explanation) from error


def process_behind(connected: socket.socket | None) -> int | None:
    """The process that listens at the other end of a socket of this machine; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connected is None:
        return None
    credentials = connected.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    # 0: a process in another container.
    return _CREDENTIALS.unpack(credentials)[0] or None


_CLASSES: Final[dict[str, type[_Bounded]]] = {
    "redis": _BoundedConnection,
    "rediss": _BoundedSSLConnection,
    "unix": _BoundedSocketConnection,
}


def client_of_url(url: str, **options: Any) -> redis.Redis:
    """A bounded client of the server at a `redis://`, `rediss://` or `unix://` URL. ValueError where it cannot be read."""
    pool = redis.ConnectionPool.from_url(url, parser_class=_BoundedParser, **options)
    pool.connection_class = _CLASSES[url.partition("://")[0]]
    return redis.Redis.from_pool(pool)


def client_of_own_socket(path: str, *, explain: Explain, **options: Any) -> redis.Redis:
    """A bounded client of the town's own server, at the socket `path`. Where a connection is lost, `explain` may say why."""
    pool = redis.ConnectionPool(
        connection_class=_OwnSocketConnection, path=path, parser_class=_OwnParser, explain=explain, **options
    )
    return redis.Redis.from_pool(pool)
