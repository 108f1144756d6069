"""redis-py's client for a server at a URL: each exchange has a deadline, and each reply a maximum size.

redis-py only bounds each single read of the socket. So a server that sends a byte now and then would block a command
forever, and one that never stops sending would fill the memory. `socket_client` is for the town's own server.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

import redis
from redis._parsers import _HiredisParser
from redis._parsers.socket import SENTINEL
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from ledger import OversizedReplyError, UnfitReplyError, name_of
from town.server.bounds import (
    CONNECT_SECONDS_MAX,
    EXCHANGE_SECONDS_MAX,
    MISTAKES,
    NO_REPLY_WORDS,
    PUSH_WORDS,
    REPLY_BYTES_MAX,
    REPLY_ELEMENTS_MAX,
    TOO_LARGE,
    TOO_LARGE_WORDS,
    overdue_words,
    refuse_announced,
    refuse_received,
)
from town.server.due_replies import Command, DueReplies, PackedCommands

LOOK_SECONDS: Final = 2.0
"""How often it is asked during a wait whether a reply will come at all."""
_LARGE: Final = re.compile(rb"\*\d{4}")
_COUNTS: Final = re.compile(rb"[*~](\d{4,20})\r")
_LIST: Final = re.compile(rb"\n[*%~>|]")
_LINE_END: Final = ord("\n")
_SEAM_BYTES: Final = 24
_SMALL_BYTES: Final = 512
_UNCOUNTED_BYTES: Final = 128 * 1024
"""A reply of this size needs little memory, so only what it announces is checked."""


class _OversizedReplyError(OversizedReplyError, redis.ConnectionError):
    """Also one of redis-py's errors, so that redis-py's own code catches it."""


class _UnfitReplyError(UnfitReplyError, redis.InvalidResponse):
    """Also one of redis-py's errors."""


class _BoundedParser(_HiredisParser):
    """hiredis' reader, fed until the deadline with at most `reply_bytes_max` bytes for one reply.

    It also bounds the number of elements, so that many small ones take no more memory than a large text.
    """

    reply_bytes_max = REPLY_BYTES_MAX
    reply_elements_max = REPLY_ELEMENTS_MAX

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)  # type: ignore[no-untyped-call]
        self.is_greeting = False
        """Set while a connection is made."""
        self.still_there: Callable[[], None] | None = None
        """Raises redis-py's ConnectionError if no reply will come."""
        self.look_seconds = LOOK_SECONDS
        self.seconds_max: float | None = None
        """A shorter bound than usual for each reply."""
        self.deadline: float | None = None
        """None between sending and the first wait for a reply: a reader may pause in between."""
        self._received = 0
        self._lines = self._announced = 0
        self._tail = b""
        self._closed_unheard: str | None = None

    def begin(self, closed_unheard: str) -> None:
        """A connection is made. If it ends before the server says anything, these words may be the reason."""
        self._closed_unheard = closed_unheard

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        self._received = 0
        try:
            return super().read_response(*arguments, **options)  # type: ignore[no-untyped-call]
        except MISTAKES as error:
            raise _refusal(error) from error

    def can_read(self, timeout: float) -> bool:
        try:
            return bool(super().can_read(timeout))  # type: ignore[no-untyped-call]
        except MISTAKES as error:
            raise _refusal(error) from error

    def handle_push_response(self, response: Any, **options: Any) -> Any:  # noqa: ARG002 - as redis-py's
        """There is no subscription; and redis-py would recurse for each such message."""
        raise redis.InvalidResponse(PUSH_WORDS)

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> bool:
        if timeout is not SENTINEL:
            return bool(super().read_from_socket(timeout, raise_on_timeout))  # type: ignore[no-untyped-call]
        seconds_max = self.seconds_max or (CONNECT_SECONDS_MAX if self.is_greeting else EXCHANGE_SECONDS_MAX)
        if self.deadline is None:
            self.deadline = time.monotonic() + seconds_max
        try:
            received = self._receive(seconds_max)
        except OSError as error:
            raise redis.ConnectionError(f"Error while reading: {error.strerror or error}") from error
        if received == 0:
            raise redis.ConnectionError(f"it closed the connection{self._closed_unheard or ''}")
        self._closed_unheard = None
        try:
            self._count(received)
        except OversizedReplyError as error:
            raise _OversizedReplyError(*error.args) from None
        self._reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]  # any buffer is taken
        return True

    def _receive(self, seconds_max: float) -> int:
        """Wait until the deadline for bytes; how many came. Asks `still_there` every `look_seconds` while it waits."""
        assert self.deadline is not None
        while (left := self.deadline - time.monotonic()) > 0:
            self._sock.settimeout(left if self.still_there is None else min(left, self.look_seconds))
            try:
                return int(self._sock.recv_into(self._buffer))
            except TimeoutError:
                if self.still_there is not None:
                    self.still_there()
        raise redis.TimeoutError(overdue_words(seconds_max))

    def _count(self, received: int) -> None:
        """OversizedReplyError if the first `received` bytes of the buffer make the reply too large."""
        bytes_max, elements_max = self.reply_bytes_max, self.reply_elements_max
        if self._received == 0:
            self._lines = self._announced = 0
            refuse_announced(self._buffer, received, bytes_max=bytes_max, elements_max=elements_max)
        self._received += received
        refuse_received(self._received, bytes_max=bytes_max)
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
            # An element has one or two lines. A nested list takes as much memory as three other elements.
            lists = _LIST.findall(self._buffer, 0, received)
            self._lines += self._buffer.count(b"\n", 0, received) + 3 * len(lists)
        if self._announced > self.reply_elements_max or self._lines > 2 * self.reply_elements_max:
            raise OversizedReplyError(f"its reply has or announces more than {self.reply_elements_max:,} elements")


def _refusal(error: Exception) -> redis.RedisError:
    """The message for an exception of redis-py or hiredis over the bytes they read."""
    if isinstance(error, TOO_LARGE):
        return _OversizedReplyError(TOO_LARGE_WORDS)
    return redis.InvalidResponse(NO_REPLY_WORDS)


class Bounded:
    """A connection that sets a new deadline at each send, and checks that replies have their commands' shapes.

    The server has to answer its greeting, such as a password or a database, in the time that a connection may take.
    """

    closed_unheard = ""
    """Why a server may close a connection before it says anything."""

    def __init__(
        self,
        *arguments: Any,
        still_there: Callable[[], None] | None = None,
        seconds_max: float | None = None,
        **options: Any,
    ) -> None:
        """`still_there` is asked now and then during a wait, and raises redis-py's ConnectionError if no reply will come.

        `seconds_max` is a shorter bound than usual for each step of making the connection, and for each reply.
        """
        if seconds_max is not None:
            options["socket_connect_timeout"] = seconds_max
        self._due = DueReplies()
        super().__init__(*arguments, **options)
        self._parser.still_there = still_there  # type: ignore[attr-defined]
        self._parser.seconds_max = seconds_max  # type: ignore[attr-defined]

    def look_after_server(self) -> None:
        """redis-py's ConnectionError if no reply will come, as far as anybody knows. For those who read the socket themselves."""
        if self._parser.still_there is not None:  # type: ignore[attr-defined]
            self._parser.still_there()  # type: ignore[attr-defined]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        self._parser.is_greeting = True  # type: ignore[attr-defined]
        self._parser.begin(self.closed_unheard)  # type: ignore[attr-defined]
        try:
            super().on_connect_check_health(check_health)  # type: ignore[misc]
        finally:
            self._parser.is_greeting = False  # type: ignore[attr-defined]

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        commands = list(commands)
        packed = super().pack_commands(commands)  # type: ignore[misc]
        if packed:
            packed[0] = PackedCommands(packed[0])
            packed[0].commands = commands
        return cast("list[bytes]", packed)

    def send_command(self, *arguments: Any, **options: Any) -> None:
        super().send_command(*arguments, **options)  # type: ignore[misc]
        # Only now: sending may connect first, and connecting has its own commands and replies.
        self._due.add([arguments])

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        super().send_packed_command(command, check_health)  # type: ignore[misc]
        self._parser.deadline = None  # type: ignore[attr-defined]
        self._due.add_packed(command)

    def read_response(
        self, disable_decoding: bool = False, *, disconnect_on_error: bool = True, **_options: Any
    ) -> Any:
        """As redis-py's, but faster. UnfitReplyError if the reply does not fit its command."""
        command = self._due.next()
        try:
            reply = self._parser.read_response(disable_decoding)  # type: ignore[attr-defined]
        except BaseException:
            if disconnect_on_error:
                self.disconnect()
            raise
        if isinstance(reply, redis.ResponseError):
            self._due.refused(command)
            try:
                raise reply
            finally:
                # Break the reference cycle between the error and its traceback.
                del reply
        if command is not None and not self._due.fits(reply, command):
            self.disconnect()
            raise _UnfitReplyError(name_of(command))
        return reply

    def disconnect(self, *arguments: Any) -> None:
        self._due.clear()
        super().disconnect(*arguments)  # type: ignore[misc]


class BoundedConnection(Bounded, Connection):
    """Over TCP."""

    closed_unheard = " before it said anything; a server that wants TLS does so, and has a URL of rediss://"


class BoundedSSLConnection(Bounded, SSLConnection):
    """Over TLS."""

    closed_unheard = " once it spoke TLS; it may want a client's certificate, by ssl_certfile and ssl_keyfile"

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
        # What listens there may know nothing of TLS, and wait for the end of a line.
        sock.settimeout(self.socket_connect_timeout)
        self._check_files()
        try:
            wrapped = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise redis.ConnectionError(f"it did not speak TLS in {self.socket_connect_timeout:g} s") from None
        except ssl.SSLCertVerificationError as error:
            why = (
                f"its certificate is not trusted: {error.verify_message}; ssl_ca_certs names the file of who signed it"
            )
            raise redis.ConnectionError(f"TLS failed: {why}") from error
        except ssl.SSLError as error:
            raise redis.ConnectionError(f"TLS failed: {error.reason or error}") from error
        wrapped.settimeout(self.socket_timeout)
        return wrapped

    def _check_files(self) -> None:
        """The error of `ssl` does not say which file it could not read."""
        for name, path in (
            ("ssl_ca_certs", self.ca_certs),
            ("ssl_certfile", self.certfile),
            ("ssl_keyfile", self.keyfile),
        ):
            if path is not None:
                try:
                    with Path(path).open("rb"):
                        pass
                except OSError as error:
                    raise redis.ConnectionError(f"TLS failed: {name} {path}: {error.strerror or error}") from error


class _BoundedSocketConnection(Bounded, UnixDomainSocketConnection):
    """Over a socket of this machine."""


_CLASSES: Final[dict[str, type[Bounded]]] = {
    "redis": BoundedConnection,
    "rediss": BoundedSSLConnection,
    "unix": _BoundedSocketConnection,
}


def client_of_url(url: str) -> redis.Redis:
    """A bounded client of the server at a `redis://`, `rediss://` or `unix://` URL. ValueError if it cannot be parsed."""
    pool = redis.ConnectionPool.from_url(url, **bounded_options())
    pool.connection_class = _CLASSES[url.partition("://")[0]]
    return redis.Redis.from_pool(pool)


def client_of_socket(path: str) -> redis.Redis:
    """As `client_of_url`, for the socket at `path`."""
    pool = redis.ConnectionPool(connection_class=_BoundedSocketConnection, path=path, **bounded_options())
    return redis.Redis.from_pool(pool)


def bounded_options() -> dict[str, Any]:
    """The arguments for a connection of these classes."""
    return {
        "parser_class": _BoundedParser,
        "decode_responses": False,
        "socket_connect_timeout": CONNECT_SECONDS_MAX,
        "socket_timeout": EXCHANGE_SECONDS_MAX,
        # A retry after a lost reply would send an append twice; the event store looks before it repeats.
        "retry": Retry(NoBackoff(), 0),
    }
