"""Lease: who does at the moment what several could do. It saves work; correctness needs none of it (DESIGN 5).

A worker holds the one on projecting, so commands know that somebody projects for them and wait a little. A rebuild holds
the one on rebuilding, so that nobody else finishes it. Whoever holds a lease and dies loses it after LEASE_MS; and at once
to those of the same machine, who can see that the process is gone.
"""

from __future__ import annotations

import os

# `socket` is a wrapper of it that takes long to import.
from _socket import gethostname
from typing import TYPE_CHECKING, Final, cast

from ledger import Keys, new_command_id, redis_errors
from projections.lua.lease import LeaseScript

if TYPE_CHECKING:
    from redis import Redis

LEASE_MS: Final = 2_000
PROJECTOR: Final = "projector"
REBUILD: Final = "rebuild"


def new_holder() -> str:
    """A name for whoever takes leases in this process: `<machine>:<process>:<random>`."""
    return f"{gethostname()}:{os.getpid()}:{new_command_id()}"


class Lease:
    """One town's lease on projecting, or on what `name` says, as `holder` sees it."""

    def __init__(self, client: Redis, keys: Keys, *, holder: str, name: str = PROJECTOR, where: str = "redis") -> None:
        self._client = client
        self._key = keys.lease(name)
        self._holder = holder
        self._where = where
        self._script = LeaseScript(client)

    def take(self) -> bool:
        """Take it, or hold it for LEASE_MS more; False where somebody else has it. Source: lease.lua; GET where refused."""
        with redis_errors(self._where, key=self._key):
            if self._script(lease_key=self._key, holder=self._holder, lease_ms=LEASE_MS):
                return True
            holder = cast("bytes | None", self._client.get(self._key))
            if holder is None or not is_gone(holder.decode(errors="replace")):
                return False
            self._script(lease_key=self._key, holder=holder.decode(errors="replace"), lease_ms=0)
            return self._script(lease_key=self._key, holder=self._holder, lease_ms=LEASE_MS)

    def give_up(self) -> None:
        """Let others have it at once; nothing happens where we do not hold it."""
        with redis_errors(self._where, key=self._key):
            self._script(lease_key=self._key, holder=self._holder, lease_ms=0)

    def is_taken(self) -> bool:
        """Whether anybody holds it who is not gone. Source: GET, and PTTL, because a key without a time-out is nobody's."""
        with redis_errors(self._where, key=self._key):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.get(self._key)
            pipeline.pttl(self._key)
            holder, remaining_ms = cast("tuple[bytes | None, int]", tuple(pipeline.execute()))
        return holder is not None and remaining_ms >= 0 and not is_gone(holder.decode(errors="replace"))


def is_gone(holder: str) -> bool:
    """Whether `holder` was a process of this machine that runs no more. Of other machines nobody can tell."""
    machine, _, process = holder.rpartition(":")[0].rpartition(":")
    if machine != gethostname() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        # It is somebody else's, and there.
        return False
    return False
