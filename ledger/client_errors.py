"""What a client of a server raises: classes of our own, and redis-py's beside them where redis-py is loaded.

The town's own server is reached without redis-py (`town.server.socket_client`), and importing that only to name its
exceptions would cost most of what a command costs. Whoever catches says `except kinds_of(ResponseError):`, which is looked
at only where something was raised: so a redis-py client that a program passes is understood as before.
"""

from __future__ import annotations

import sys
from typing import Final


class RedisError(Exception):
    """Anything that went wrong between a client and its server."""


class LostConnectionError(RedisError):
    """There is no connection, or it was lost; what was asked may have been carried out. redis-py's ConnectionError."""


class AuthenticationError(LostConnectionError):
    """The server wants a password, or another one."""


class BusyLoadingError(LostConnectionError):
    """The server is still reading its data."""


class OverdueReplyError(RedisError):
    """A reply was not there in time. redis-py's TimeoutError."""


class InvalidReplyError(RedisError):
    """What the server sent is no reply, or none to what it was asked. redis-py's InvalidResponse."""


class WatchError(RedisError):
    """A watched key was changed by somebody else, and the transaction was not carried out."""


class UnsendableError(RedisError):
    """An argument is of a type that cannot be sent. redis-py's DataError."""


class ResponseError(RedisError):
    """The server refused a command, in its own words."""


class ExecAbortError(ResponseError):
    """The server refused a transaction, because it had refused one of its commands."""


class NoPermissionError(ResponseError):
    """The user lacks a right."""


class NoScriptError(ResponseError):
    """The server does not know the script of that hash."""


class OutOfMemoryError(ResponseError):
    """The server is at its maxmemory."""


class ReadOnlyError(ResponseError):
    """The server is a replica."""


class UnfitReplyError(InvalidReplyError):
    """The server answered with something else than the command is answered with."""

    def __init__(self, command: str) -> None:
        super().__init__(f"answered {command} with something else than that command is answered with")


class OversizedReplyError(LostConnectionError):
    """The server sends more than a reply may have."""


_OTHER_NAMES: Final = {
    LostConnectionError: "ConnectionError",
    OverdueReplyError: "TimeoutError",
    InvalidReplyError: "InvalidResponse",
    UnsendableError: "DataError",
}
"""What redis-py calls them; the others have its names."""


def kinds_of(*kinds: type[RedisError]) -> tuple[type[Exception], ...]:
    """These classes, and redis-py's of the same meaning where redis-py is loaded: for `except` and `isinstance`."""
    theirs = sys.modules.get("redis.exceptions")
    if theirs is None:
        return kinds
    # It may be in the middle of being loaded; and some kinds are ours alone.
    return (*kinds, *(getattr(theirs, _OTHER_NAMES.get(kind, kind.__name__), kind) for kind in kinds))
