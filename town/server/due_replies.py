"""Which commands of a connection are not answered yet, and whether a reply is of the shape that its command is answered with.

Within a transaction each command is answered with QUEUED, and EXEC with the replies of all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ledger import ResponseError, fits, kinds_of

Command = Sequence[Any]
_OF_TRANSACTIONS: Final = frozenset(["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"])


class PackedCommands(bytes):
    """Packed bytes that begin the `commands` they were packed of."""

    commands: Sequence[Command] = ()


class DueReplies:
    """The replies that one connection has to get, in the order in which its commands were sent."""

    def __init__(self) -> None:
        self._due: deque[Command] = deque()
        self._queued: list[Command] | None = None
        """What EXEC will carry out; None outside of a transaction."""
        self._is_watching = False

    def add(self, commands: Iterable[Command]) -> None:
        """These were sent."""
        self._due.extend(commands)

    def add_packed(self, pieces: Iterable[bytes]) -> None:
        """These pieces of packed commands were sent."""
        for piece in pieces:
            if type(piece) is PackedCommands:
                self._due.extend(piece.commands)

    def next(self) -> Command | None:
        """The command that the next reply is to; None where nothing was asked."""
        return self._due.popleft() if self._due else None

    def clear(self) -> None:
        """The connection is gone, and with it every reply."""
        self._due.clear()
        self._queued, self._is_watching = None, False

    def refused(self, command: Command | None) -> None:
        """The server answered with an error, which fits every command."""
        if command is not None and command[0] in _OF_TRANSACTIONS:
            self._queued = None

    def fits(self, reply: Any, command: Command) -> bool:
        """Whether `reply`, which is no error, is what `command` is answered with here."""
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


def _fits_all(reply: Any, commands: Sequence[Command]) -> bool:
    """Whether these are the replies of a transaction, errors of single commands among them."""
    errors = kinds_of(ResponseError)
    return (
        type(reply) is list
        and len(reply) == len(commands)
        and all(isinstance(each, errors) or fits(each, command) for each, command in zip(reply, commands, strict=True))
    )
