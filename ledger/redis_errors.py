"""Turns the exceptions of a Redis client into ours, in every module that uses one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from ledger.client_errors import (
    InvalidReplyError,
    LostConnectionError,
    OverdueReplyError,
    OversizedReplyError,
    ResponseError,
    kinds_of,
)
from ledger.errors import UNREACHED_ADVICE, ReplyTooLargeError, StoreUnavailableError, WrongKeyTypeError

_ADVICE: Final = {
    "NOAUTH": "It wants a password: put it into the URL, redis://:PASSWORD@HOST/.",
    "WRONGPASS": "It refused the password: correct the URL.",
    "NOPERM": "The user in the URL lacks a right that `tt` needs: scripts, streams, hashes, sets and strings.",
    "OOM": "It is out of memory, at its maxmemory: give it more, with maxmemory-policy noeviction, and try again.",
    "MISCONF": "It cannot write to its disk, which may be full: free space there, or look at its log, and try again.",
    "READONLY": "It is a replica: use the URL of its primary.",
    "BUSY": "Another script is at work in it: try again in a moment.",
    "CLUSTERDOWN": "Too many of its nodes are gone: try again when they are up.",
    "MOVED": "It is one of a cluster: use a URL of the whole cluster, redis+cluster://HOST:PORT,HOST:PORT.",
    "NOREPLICAS": "It wants replicas and has too few: see min-replicas-to-write.",
    "LOADING": "It is still reading its data: try again in a moment.",
    "TRYAGAIN": "The town is being moved to another node of its cluster: try again in a moment.",
}

_DISK_FULL_WORDS: Final = "No space left on device"
_DISK_FULL_ADVICE: Final = "Its disk is full: free space there, and try again."
_NOT_WRITING: Final = frozenset({"OOM", "MISCONF"})
"""Codes whose words only say that nothing was written. The advice says why."""
_OVERSIZED_ADVICE: Final = (
    "Is it a Redis or Valkey server? Of one at a URL a reply may not have more; where the town is that large, ask for less,"
    " as with --limit."
)
_UNFIT_ADVICE: Final = (
    "Is it a Redis or Valkey server, and does nothing in between change what it says? If this was to write, look before you"
    " repeat it."
)

WORDS_MAX: Final = 1_000
"""How many characters of a server's words a message shows."""

# A client removes the code from the words of these errors. Their classes have the same names in redis-py and here.
_CODES: Final[Mapping[str, str]] = {
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MovedError": "MOVED",
    "TryAgainError": "TRYAGAIN",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
}


# What a redis-py pipeline puts before the server's words. Compiled when an error is explained: most commands have none.
_PIPELINE: Final = r"(?s)Command # \d+ \(.*\) of pipeline caused error: "


class ExplainedConnectionError(LostConnectionError):
    """A lost connection whose client knows why: `explanation` is raised instead."""

    def __init__(self, explanation: StoreUnavailableError) -> None:
        self.explanation = explanation
        super().__init__(explanation.problem)


@contextmanager
def redis_errors(where: str, *, key: str | None = None) -> Iterator[None]:
    """Turn a Redis exception into StoreUnavailableError, or into WrongKeyTypeError for a key of the wrong type.

    `key` is the one key that the block reads; that message names it.
    """
    try:
        yield
    except ExplainedConnectionError as error:
        raise error.explanation from error
    except OversizedReplyError as error:
        raise ReplyTooLargeError(where, *_explain(error)) from error
    except kinds_of(LostConnectionError, OverdueReplyError, InvalidReplyError) as error:
        # InvalidReplyError: what answers is not a Redis server.
        raise StoreUnavailableError(where, *_explain(error)) from error
    except kinds_of(ResponseError) as error:
        words = str(error)
        if "WRONGTYPE" in words:
            named = f"The key {key}" if key is not None else f"A key of the town ({words.removeprefix('WRONGTYPE ')})"
            raise WrongKeyTypeError(named, where) from error
        raise StoreUnavailableError(where, *_explain(error), has_refused=True) from error


def _explain(error: Exception) -> tuple[str, str]:
    """What the server's words mean, and what to do."""
    words = re.sub(_PIPELINE, "", str(error))[:WORDS_MAX].rstrip(".") or type(error).__name__
    kinds = {kind.__name__ for kind in type(error).__mro__}
    codes = [code for kind, code in _CODES.items() if kind in kinds]
    codes += [code for code in _ADVICE if words.startswith(code)]
    if "AuthenticationError" in kinds:
        codes.append("NOAUTH" if "required" in words else "WRONGPASS")
    if isinstance(error, OversizedReplyError):
        return f"did not answer: {words}", _OVERSIZED_ADVICE
    if isinstance(error, kinds_of(InvalidReplyError)):
        return words[:1].lower() + words[1:], _UNFIT_ADVICE
    if codes:
        if codes[0] == "MOVED":
            # Without its code, which redis-py removes, it is a number and an address.
            words = f"MOVED {words.removeprefix('MOVED ')}"
        advice = _DISK_FULL_ADVICE if _DISK_FULL_WORDS in words else _ADVICE[codes[0]]
        return "refused to write" if codes[0] in _NOT_WRITING else f"refused: {words}", advice
    if isinstance(error, kinds_of(ResponseError)):
        return f"refused: {words}", "Look at its log."
    return f"did not answer: {words}", UNREACHED_ADVICE
