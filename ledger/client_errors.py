"""What a client of a server raises: our own classes, and those of redis-py if redis-py is loaded.

The town's own server is reached without redis-py (`town.server.socket_client`), and importing redis-py only to name its
exceptions would cost most of what a command costs. So write `except kinds_of(ResponseError):`. Python evaluates that only
after something was raised, and it also catches the exceptions of a redis-py client that a program passes.
"""

from __future__ import annotations

import sys
from typing import Final


class RedisError(Exception):
    """Anything that went wrong between a client and its server."""


class LostConnectionError(RedisError):
    """There is no connection, or it was lost. The server may have carried out the command. redis-py's ConnectionError."""


class AuthenticationError(LostConnectionError):
    """The server wants a password, or a different one."""


class BusyLoadingError(LostConnectionError):
    """The server is still reading its data."""


class OverdueReplyError(RedisError):
    """A reply did not come in time. redis-py's TimeoutError."""


class InvalidReplyError(RedisError):
    """What the server sent is not a reply, or not one to the command. redis-py's InvalidResponse."""


class WatchError(RedisError):
    """Another client changed a watched key, so the transaction was not carried out."""


class UnsendableError(RedisError):
    """An argument has a type that cannot be sent. redis-py's DataError."""


class ResponseError(RedisError):
    """The server refused a command, in its own words."""


class ExecAbortError(ResponseError):
    """The server refused a transaction because it had refused one of its commands."""


class NoPermissionError(ResponseError):
    """The user lacks a right."""


class NoScriptError(ResponseError):
    """The server has no script with that hash."""


class OutOfMemoryError(ResponseError):
    """The server has reached its maxmemory."""


class ReadOnlyError(ResponseError):
    """The server is a replica."""


class UnfitReplyError(InvalidReplyError):
    """The server's reply does not fit the command."""

    def __init__(self, command: str) -> None:
        super().__init__(f"answered {command} with something else than that command is answered with")


class OversizedReplyError(LostConnectionError):
    """The server sends a reply that is larger than the limit."""


_OTHER_NAMES: Final = {
    LostConnectionError: "ConnectionError",
    OverdueReplyError: "TimeoutError",
    InvalidReplyError: "InvalidResponse",
    UnsendableError: "DataError",
}
"""Our class -> redis-py's name, where they differ."""


def kinds_of(*kinds: type[RedisError]) -> tuple[type[Exception], ...]:
    """These classes, and the same ones of redis-py if redis-py is loaded: for `except` and `isinstance`."""
    theirs = sys.modules.get("redis.exceptions")
    if theirs is None:
        return kinds
    # Another thread may still be importing it; and some classes exist only here.
    return (*kinds, *(getattr(theirs, _OTHER_NAMES.get(kind, kind.__name__), kind) for kind in kinds))
