"""Redis's exceptions, turned into ours at the door of every room that touches Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import redis

from ledger.errors import LedgerDamagedError, StoreUnavailableError

_ADVICE: Final = {
    "NOAUTH": "It wants a password: put it into the URL, redis://:PASSWORD@HOST/.",
    "WRONGPASS": "It refused the password: correct the URL.",
    "NOPERM": "The user in the URL lacks a right that `tt` needs: scripts, streams, hashes, sets and strings.",
    "OOM": "It is out of memory: give it more, with maxmemory-policy noeviction.",
    "MISCONF": "It cannot write to its disk: free space, then try again.",
    "READONLY": "It is a replica: use the URL of its primary.",
    "LOADING": "It is still reading its data: try again in a moment.",
}

# redis-py takes the code away from the words of these.
_CODES: Final[Mapping[type[Exception], str]] = {
    redis.BusyLoadingError: "LOADING",
    redis.ReadOnlyError: "READONLY",
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.OutOfMemoryError: "OOM",
}


@contextmanager
def redis_errors(where: str) -> Iterator[None]:
    """Inside, a Redis exception leaves as StoreUnavailableError, or as LedgerDamagedError for a key of the wrong type."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse, UnicodeError) as error:
        # The last two: something answers that is no Redis, and a host name that cannot be one.
        raise StoreUnavailableError(where, *_explain(error)) from error
    except redis.ResponseError as error:
        if "WRONGTYPE" in str(error):
            raise LedgerDamagedError(
                f"A key of the town at {where} is of the wrong type: something other than this program wrote it."
                " Rename that key, then try again."
            ) from error
        raise StoreUnavailableError(where, *_explain(error), has_refused=True) from error


def _explain(error: Exception) -> tuple[str, str]:
    words = str(error).rstrip(".") or type(error).__name__
    codes = [code for kind, code in _CODES.items() if isinstance(error, kind)]
    codes += [code for code in _ADVICE if code in words]
    if isinstance(error, redis.AuthenticationError):
        codes.append("NOAUTH" if "required" in words else "WRONGPASS")
    if codes:
        return f"refused: {words}", _ADVICE[codes[0]]
    if isinstance(error, redis.ResponseError):
        return f"refused: {words}", "Look at its log."
    return f"did not answer: {words}", "Is it running? `tt start` starts a town's own server; `tt status` shows it."
