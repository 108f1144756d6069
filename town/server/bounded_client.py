"""A client whose exchanges end: each has a deadline as a whole, and a reply has a size that it may not go beyond.

redis-py bounds each read of the socket alone, so a server that sends a byte now and then keeps a command for ever, and one
that sends without an end fills the memory.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import redis
from redis._parsers import _HiredisParser
from redis._parsers.socket import SENTINEL
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from ledger import ExplainedConnectionError, OversizedReplyError, StoreUnavailableError, UnfitReplyError, fits, name_of

EXCHANGE_SECONDS_MAX: Final = 60
"""From the first wait after a command was sent to the last reply."""
REPLY_BYTES_MAX: Final = 24 * 1024 * 1024
"""Of a server at a URL. It is there twice for a moment, and `tt` takes 40 MB by itself."""
REPLY_ELEMENTS_MAX: Final = 600_000
OWN_REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
"""Of the town's own server, whose socket is this user's alone."""
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as Linux gives them."""
Explain = Callable[[int | None], StoreUnavailableError | None]
"""From the process of a server that is gone, where it is known, to how it ended, where that is known."""
OWN_REPLY_ELEMENTS_MAX: Final = 16 * 1024 * 1024
Command = Sequence[Any]
_ANNOUNCED: Final = re.compile(rb"([*%~>|$=])(\d{1,20})\r\n")
_LARGE: Final = re.compile(rb"\*\d{4}")
_COUNTS: Final = re.compile(rb"[*~](\d{4,20})\r")
_LIST: Final = re.compile(rb"\n[*%~>|]")
_LINE_END: Final = ord("\n")
_SEAM_BYTES: Final = 24
_SMALL_BYTES: Final = 512
_UNCOUNTED_BYTES: Final = 128 * 1024
"""So little takes no memory worth a count, but for what it announces."""


class _BoundedParser(_HiredisParser):
    """hiredis' reader, fed until the deadline, and with no more than `reply_bytes_max` for one reply."""

    reply_bytes_max = OWN_REPLY_BYTES_MAX
    reply_elements_max = OWN_REPLY_ELEMENTS_MAX

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)  # type: ignore[no-untyped-call]
        self.deadline: float | None = None
        """None from when something is sent until its replies are waited for: a reader may pause in between."""
        self._received = 0

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        self._received = 0
        try:
            return super().read_response(*arguments, **options)  # type: ignore[no-untyped-call]
        except _MISTAKES as error:
            raise _refusal(error) from error

    def can_read(self, timeout: float) -> bool:
        try:
            return bool(super().can_read(timeout))  # type: ignore[no-untyped-call]
        except _MISTAKES as error:
            raise _refusal(error) from error

    def handle_push_response(self, response: Any, **options: Any) -> Any:  # noqa: ARG002 - as redis-py's
        """Nothing was subscribed to; and redis-py would go on reading a call deeper each time."""
        raise redis.InvalidResponse("sent a message that nobody subscribed to")

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
        self._count(received)
        self._reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]  # any buffer is taken
        return True

    def _count(self, received: int) -> None:
        """OversizedReplyError where the first `received` bytes of the buffer make the reply larger than it may be."""
        if self._received == 0:
            self._refuse_announced(received)
        self._received += received
        if self._received > self.reply_bytes_max:
            raise OversizedReplyError(f"its reply has more than {self.reply_bytes_max:,} bytes")

    def _refuse_announced(self, received: int) -> None:
        """OversizedReplyError where a reply's first line announces more than it may have."""
        announced = _ANNOUNCED.match(self._buffer, 0, received)
        if announced is None:
            return
        is_text, count = announced[1] in b"$=", int(announced[2])
        if count > (self.reply_bytes_max if is_text else self.reply_elements_max):
            raise OversizedReplyError(f"its reply announces {count:,} {'bytes' if is_text else 'elements'}")


_TOO_LARGE: Final = (MemoryError, RecursionError, SystemError)
_MISTAKES: Final = (*_TOO_LARGE, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _refusal(error: Exception) -> redis.RedisError:
    """What a mistake of redis-py's or hiredis' says of the bytes that they read: nobody else is at work there."""
    if isinstance(error, _TOO_LARGE):
        return OversizedReplyError("its reply announces more than this machine can hold")
    return redis.InvalidResponse("sent something that is no reply")


class _StrangersParser(_BoundedParser):
    """As _BoundedParser, for a server at a URL: a reply of many small elements may not take more memory than a large text."""

    reply_bytes_max = REPLY_BYTES_MAX
    reply_elements_max = REPLY_ELEMENTS_MAX

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self._lines = self._announced = 0
        self._tail = b""

    def _count(self, received: int) -> None:
        if self._received == 0:
            self._lines = self._announced = 0
        super()._count(received)
        if self._received == received < _SMALL_BYTES:
            self._tail = b""
            return
        if _LARGE.search(self._buffer, 0, received) or self._buffer.find(b"~", 0, received) >= 0:
            self._announced += sum(int(count) for count in _COUNTS.findall(self._buffer, 0, received))
        if self._tail:
            seam = self._tail + self._buffer[: min(received, _SEAM_BYTES)]
            inside = _COUNTS.finditer(seam)
            self._announced += sum(int(each[1]) for each in inside if each.start() < len(self._tail) < each.end())
        self._tail = b""
        if self._buffer[received - 1] != _LINE_END:
            self._tail = bytes(self._buffer[max(received - _SEAM_BYTES, 0) : received])
        if self._received > _UNCOUNTED_BYTES:
            # An element has a line or two. A list in a list takes as much as three others.
            lists = _LIST.findall(self._buffer, 0, received)
            self._lines += self._buffer.count(b"\n", 0, received) + 3 * len(lists)
        if self._announced > self.reply_elements_max or self._lines > 2 * self.reply_elements_max:
            raise OversizedReplyError(f"its reply has or announces more than {self.reply_elements_max:,} elements")


class _Commands(bytes):
    """Packed bytes that begin the `commands` they were packed of."""

    commands: Sequence[Command] = ()


class _Bounded:
    """A connection that has another deadline whenever it sends, and whose replies are of their commands' shapes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._due: deque[Command] = deque()
        """The commands that were sent and not answered yet."""
        self._queued: list[Command] | None = None
        """What EXEC will carry out; None outside of a transaction."""
        self._is_watching = False
        super().__init__(*arguments, **options)

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        commands = list(commands)
        packed = super().pack_commands(commands)  # type: ignore[misc]
        if packed:
            packed[0] = _Commands(packed[0])
            packed[0].commands = commands
        return cast("list[bytes]", packed)

    def send_command(self, *arguments: Any, **options: Any) -> None:
        super().send_command(*arguments, **options)  # type: ignore[misc]
        # Only now: to send may be to connect first, which asks and is answered by itself.
        self._due.append(arguments)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        super().send_packed_command(command, check_health)  # type: ignore[misc]
        self._parser.deadline = None  # type: ignore[attr-defined]
        for piece in command:
            if type(piece) is _Commands:
                self._due.extend(piece.commands)

    def read_response(
        self, disable_decoding: bool = False, *, disconnect_on_error: bool = True, **_options: Any
    ) -> Any:
        """As redis-py's, in less time; UnfitReplyError where the reply is not what its command is answered with."""
        command = self._due.popleft() if self._due else None
        try:
            reply = self._parser.read_response(disable_decoding)  # type: ignore[attr-defined]
        except BaseException:
            if disconnect_on_error:
                self.disconnect()
            raise
        if isinstance(reply, redis.ResponseError):
            if command is not None and command[0] in _OF_TRANSACTIONS:
                self._queued = None
            try:
                raise reply
            finally:
                # Or it would hold itself, by its traceback.
                del reply
        if command is not None and not self._fits(reply, command):
            self.disconnect()
            raise UnfitReplyError(name_of(command))
        return reply

    def disconnect(self, *arguments: Any) -> None:
        self._due.clear()
        self._queued, self._is_watching = None, False
        super().disconnect(*arguments)  # type: ignore[misc]

    def _fits(self, reply: Any, command: Command) -> bool:
        if self._queued is None and command[0] not in _OF_TRANSACTIONS:
            return fits(reply, command)
        match command[0]:
            case "EXEC":
                queued, self._queued = self._queued, None
                was_watching, self._is_watching = self._is_watching, False
                return _fits_all(reply, queued or ()) if reply is not None else was_watching
            case "DISCARD":
                self._queued, self._is_watching = None, False
            case "MULTI":
                self._queued = []
            case "WATCH" | "UNWATCH" as name:
                self._is_watching = name == "WATCH"
            case _ if self._queued is not None:
                self._queued.append(command)
                return bool(reply == b"QUEUED")
        return fits(reply, command)


_OF_TRANSACTIONS: Final = frozenset(["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"])


def _fits_all(reply: Any, commands: Sequence[Command]) -> bool:
    """Whether these are the replies of a transaction, errors of single commands among them."""
    return (
        type(reply) is list
        and len(reply) == len(commands)
        and all(
            isinstance(each, redis.ResponseError) or fits(each, command)
            for each, command in zip(reply, commands, strict=True)
        )
    )


class _BoundedConnection(_Bounded, Connection):
    """Over TCP."""


class _BoundedSSLConnection(_Bounded, SSLConnection):
    """Over TLS."""


class _BoundedSocketConnection(_Bounded, UnixDomainSocketConnection):
    """Over a socket of this machine."""


class _OwnSocketConnection(_BoundedSocketConnection):
    """To the town's own server: where it is lost, `explain` is asked how the server ended."""

    def __init__(self, *, explain: Explain, **options: Any) -> None:
        super().__init__(**options)
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
            return super().read_response(*arguments, **options)
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
    pool = redis.ConnectionPool.from_url(url, parser_class=_StrangersParser, **options)
    pool.connection_class = _CLASSES[url.partition("://")[0]]
    return redis.Redis.from_pool(pool)


def client_of_own_socket(path: str, *, explain: Explain, **options: Any) -> redis.Redis:
    """A bounded client of the town's own server, at the socket `path`. Where a connection is lost, `explain` may say why."""
    pool = redis.ConnectionPool(
        connection_class=_OwnSocketConnection, path=path, parser_class=_BoundedParser, explain=explain, **options
    )
    return redis.Redis.from_pool(pool)
