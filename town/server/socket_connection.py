"""Connections to the town's own server: hiredis' reader over a socket of this machine, without redis-py.

Each exchange has a deadline, and each reply a maximum size and the shape that its command expects. If a connection is
lost, `explain` says how the server ended.
"""

from __future__ import annotations

import os
import time

# `socket` is a Python wrapper of this module. Its import takes as long as the interpreter's start.
from _socket import AF_UNIX, MSG_DONTWAIT, SHUT_RDWR
from _socket import socket as Socket  # noqa: N812 - a class by any name
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import hiredis

import ledger
from ledger import (
    BusyLoadingError,
    ExplainedConnectionError,
    InvalidReplyError,
    LostConnectionError,
    OverdueReplyError,
    OversizedReplyError,
    RedisError,
    ResponseError,
    StoreUnavailableError,
    UnfitReplyError,
    UnsendableError,
    name_of,
)
from town.server.bounds import (
    CONNECT_SECONDS_MAX,
    EXCHANGE_SECONDS_MAX,
    MISTAKES,
    NO_REPLY_WORDS,
    OWN_REPLY_BYTES_MAX,
    OWN_REPLY_ELEMENTS_MAX,
    PUSH_WORDS,
    READ_BYTES,
    TOO_LARGE,
    TOO_LARGE_WORDS,
    overdue_words,
    refuse_announced,
    refuse_received,
)
from town.server.due_replies import Command, DueReplies, PackedCommands
from town.server.peer import process_behind

Explain = Callable[[int | None], StoreUnavailableError | None]
"""Maps the process id of a server that is gone (None: unknown) to the error that says how it ended (None: unknown)."""

_NOT_ALL: Final = object()
_LOADING_POLL_SECONDS: Final = 0.05
# hiredis has it since 3.2.
_PUSH: Final[Any] = getattr(hiredis, "PushNotification", ())
_PIECE_BYTES: Final = 64 * 1024
"""Small commands are joined into pieces of about this size."""
_KINDS: Final[dict[str, type[RedisError]]] = {
    "ERR": ResponseError,
    "EXECABORT": ledger.ExecAbortError,
    "LOADING": ledger.BusyLoadingError,
    "NOAUTH": ledger.AuthenticationError,
    "NOPERM": ledger.NoPermissionError,
    "NOSCRIPT": ledger.NoScriptError,
    "OOM": ledger.OutOfMemoryError,
    "READONLY": ledger.ReadOnlyError,
    "WRONGPASS": ledger.AuthenticationError,
}
"""By the code at the beginning of an error, which is then removed, as in redis-py."""
_TOO_MANY_CLIENTS: Final = "max number of clients reached"


class SocketConnection:
    """One connection to the socket at `path`. It connects when needed. Not thread-safe."""

    def __init__(self, path: str, explain: Explain) -> None:
        self._path = path
        self._explain = explain
        self._socket: Socket | None = None
        self._due = DueReplies()
        self._buffer = bytearray(READ_BYTES)
        self._received = 0
        """How many bytes of the present reply were read."""
        self._deadline: float | None = None
        """None between sending and the first wait for a reply: a reader may pause in between."""
        self._process: int | None = None
        """The server of the last connection. If it cannot be reached again, `explain` is asked how it ended."""
        self._owner = os.getpid()

    def connect(self) -> None:
        """Connect if not connected. LostConnectionError, OverdueReplyError."""
        if self._socket is not None:
            return
        connected = Socket(AF_UNIX)
        connected.settimeout(CONNECT_SECONDS_MAX)
        try:
            connected.connect(self._path)
        except TimeoutError:
            connected.close()
            raise OverdueReplyError("Timeout connecting to server") from None
        except OSError as error:
            connected.close()
            words = f"Error {error.errno} connecting to {self._path}. {error.strerror}."
            raise self._explained(LostConnectionError(words)) from error
        is_again = self._process is not None
        self._socket = connected
        self._owner = os.getpid()
        self._process = process_behind(connected)
        self._reader = hiredis.Reader(
            protocolError=InvalidReplyError, replyError=error_of_words, notEnoughData=_NOT_ALL
        )
        if is_again:
            self._wait_until_loaded(connected)

    def _wait_until_loaded(self, connected: Socket) -> None:
        """Return when the server has loaded its data: a newly started one refuses everything until then.

        Errors as for `connect`.
        """
        deadline = time.monotonic() + EXCHANGE_SECONDS_MAX
        try:
            while True:
                connected.settimeout(EXCHANGE_SECONDS_MAX)
                connected.sendall(_pack(("PING",)))
                self._deadline = None
                if not isinstance(self._read(), BusyLoadingError) or time.monotonic() > deadline:
                    return
                time.sleep(_LOADING_POLL_SECONDS)
        except (OSError, LostConnectionError) as error:
            self.disconnect()
            raise self._explained(LostConnectionError(str(error))) from error
        except BaseException:
            self.disconnect()
            raise

    def make_ready(self) -> None:
        """Connect, also if the server closed the connection or sent an unexpected message. Errors as for `connect`."""
        if self._socket is not None and not self._is_idle():
            self.disconnect()
        self.connect()

    def send_command(self, *command: Any) -> None:
        self._send([_pack(command)])
        # Only now: sending may connect first.
        self._due.add([command])

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        """Pack commands for `send_packed_command`. UnsendableError."""
        commands = list(commands)
        pieces = list(_joined(map(_pack, commands)))
        if pieces:
            first = PackedCommands(pieces[0])
            first.commands = commands
            pieces[0] = first
        return pieces

    def send_packed_command(self, pieces: Sequence[bytes]) -> None:
        """Send packed commands; connects first if needed. LostConnectionError, OverdueReplyError."""
        self._send(pieces)
        self._due.add_packed(pieces)

    def read_response(self) -> Any:
        """The next reply. ResponseError if it is an error; another RedisError if the connection is unusable."""
        command = self._due.next()
        try:
            reply = self._read()
        except BaseException as error:
            self.disconnect()
            if type(error) is LostConnectionError:
                raise self._explained(error) from error
            raise
        if isinstance(reply, ResponseError):
            self._due.refused(command)
            try:
                raise reply
            finally:
                # Break the reference cycle between the error and its traceback.
                del reply
        if command is not None and not self._due.fits(reply, command):
            self.disconnect()
            raise UnfitReplyError(name_of(command))
        return reply

    def disconnect(self) -> None:
        """Close it. The next send opens it again."""
        self._due.clear()
        connected, self._socket = self._socket, None
        if connected is None:
            return
        with suppress(OSError):
            # A forked process has the same socket, and must not end its parent's connection.
            if self._owner == os.getpid():
                connected.shutdown(SHUT_RDWR)
        connected.close()

    def __del__(self) -> None:
        self.disconnect()

    def _is_idle(self) -> bool:
        """Whether it is open with nothing left to read."""
        assert self._socket is not None
        if self._owner != os.getpid():
            # The parent process still uses it, and its replies belong to the parent.
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _send(self, pieces: Sequence[bytes]) -> None:
        self.connect()
        assert self._socket is not None
        try:
            self._socket.settimeout(EXCHANGE_SECONDS_MAX)
            for piece in pieces:
                self._socket.sendall(piece)
        except TimeoutError:
            self.disconnect()
            raise OverdueReplyError("Timeout writing to socket") from None
        except OSError as error:
            self.disconnect()
            words = f"Error {error.errno} while writing to socket. {error.strerror}."
            raise self._explained(LostConnectionError(words)) from error
        except BaseException:
            # A part of it may have been sent.
            self.disconnect()
            raise
        self._deadline = None

    def _read(self) -> Any:
        """The next reply, which may be a ResponseError. RedisError if the connection is unusable."""
        if self._socket is None:
            raise LostConnectionError("it closed the connection")
        self._received = 0
        try:
            reply = self._reader.gets()
            while reply is _NOT_ALL:
                self._receive(self._socket)
                reply = self._reader.gets()
        except TOO_LARGE as error:
            raise OversizedReplyError(TOO_LARGE_WORDS) from error
        except MISTAKES as error:
            raise InvalidReplyError(NO_REPLY_WORDS) from error
        if isinstance(reply, _PUSH):
            raise InvalidReplyError(PUSH_WORDS)
        first = reply[0] if type(reply) is list and reply else reply
        if isinstance(first, LostConnectionError):
            raise first
        return reply

    def _receive(self, connected: Socket) -> None:
        """Feed the next bytes to the reader. LostConnectionError, OverdueReplyError, OversizedReplyError."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + EXCHANGE_SECONDS_MAX
        if self._deadline <= now:
            raise OverdueReplyError(overdue_words(EXCHANGE_SECONDS_MAX))
        connected.settimeout(self._deadline - now)
        try:
            received = connected.recv_into(self._buffer)
        except TimeoutError:
            raise OverdueReplyError(overdue_words(EXCHANGE_SECONDS_MAX)) from None
        except OSError as error:
            raise LostConnectionError(f"Error while reading: {error.strerror or error}") from error
        if received == 0:
            raise LostConnectionError("it closed the connection")
        if self._received == 0:
            refuse_announced(self._buffer, received, bytes_max=OWN_REPLY_BYTES_MAX, elements_max=OWN_REPLY_ELEMENTS_MAX)
        self._received += received
        refuse_received(self._received, bytes_max=OWN_REPLY_BYTES_MAX)
        self._reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]  # any buffer is taken

    def _explained(self, error: LostConnectionError) -> LostConnectionError:
        """The error that says how the server ended, if known; else `error`."""
        explanation = self._explain(self._process)
        return error if explanation is None else ExplainedConnectionError(explanation)


def error_of_words(words: str) -> RedisError:
    """The error for a server's error reply, without the code that gives its kind."""
    code, _, rest = words.partition(" ")
    kind = _KINDS.get(code)
    if kind is None:
        return ResponseError(words)
    return LostConnectionError(rest) if rest == _TOO_MANY_CLIENTS else kind(rest)


def _pack(command: Command) -> bytes:
    """A command in the server's protocol. A name of two words becomes two arguments. UnsendableError."""
    name = command[0]
    try:
        if " " in name:
            return bytes(hiredis.pack_command((*name.split(), *command[1:])))
        return bytes(hiredis.pack_command(tuple(command)))
    except TypeError as error:
        raise UnsendableError(f"An argument of {name} cannot be sent: {error}") from error


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, with small ones joined."""
    part: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        part.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _PIECE_BYTES:
            yield b"".join(part)
            part, size_bytes = [], 0
    if part:
        yield b"".join(part)
