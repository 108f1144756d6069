"""The commands of a connection that wait for a reply, and a check that a reply has the shape that its command expects.

Inside a transaction, each command gets the reply QUEUED, and EXEC gets the replies of all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ledger import ResponseError, fits, kinds_of

Command = Sequence[Any]
_OF_TRANSACTIONS: Final = frozenset(["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"])


class PackedCommands(bytes):
    """Packed bytes, with the `commands` that begin in them."""

    commands: Sequence[Command] = ()


def commands_in(pieces: Iterable[bytes]) -> list[Command]:
    """The commands in these pieces of packed bytes."""
    return [command for piece in pieces if type(piece) is PackedCommands for command in piece.commands]


class DueReplies:
    """The replies that one connection expects, in the order of its commands."""

    def __init__(self) -> None:
        self._due: deque[Command] = deque()
        self.queued: list[Command] | None = None
        """The commands that EXEC will carry out; None outside a transaction."""
        self.is_watching = False
        self.lost: list[Command] = []
        """The commands that waited for a reply when the connection was gone."""

    def add(self, commands: Iterable[Command]) -> None:
        """Note that these commands were sent."""
        self._due.extend(commands)

    def add_packed(self, pieces: Iterable[bytes]) -> None:
        """Note that these pieces of packed commands were sent."""
        self._due.extend(commands_in(pieces))

    def __bool__(self) -> bool:
        """Whether a command waits for a reply."""
        return bool(self._due)

    def first(self) -> Command | None:
        """The command that `next` will give."""
        return self._due[0] if self._due else None

    def waiting(self) -> list[Command]:
        """All commands that wait for a reply, in their order."""
        return list(self._due)

    def next(self) -> Command | None:
        """The command that the next reply belongs to; None if no command waits for one."""
        return self._due.popleft() if self._due else None

    def clear(self) -> None:
        """Expect nothing more: the connection is gone."""
        self.lost = list(self._due)
        self._due.clear()
        self.queued, self.is_watching = None, False

    def refused(self, command: Command | None) -> None:
        """Note that the server replied with an error, which fits every command."""
        if command is not None and command[0] in _OF_TRANSACTIONS:
            self.queued = None

    def fits(self, reply: Any, command: Command) -> bool:
        """Whether `reply`, which is not an error, fits `command` here."""
        if self.queued is None and command[0] not in _OF_TRANSACTIONS:
            return fits(reply, command)
        match command[0]:
            case "EXEC":
                queued, self.queued = self.queued, None
                was_watching, self.is_watching = self.is_watching, False
                return _fits_all(reply, queued or ()) if reply is not None else was_watching
            case "DISCARD":
                self.queued, self.is_watching = None, False
            case "MULTI":
                self.queued = []
            case "WATCH" | "UNWATCH" as name:
                self.is_watching = name == "WATCH"
            case _ if self.queued is not None:
                self.queued.append(command)
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
