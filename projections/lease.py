"""Lease: says which process is doing a job that several could do. It saves work; correctness does not need it (DESIGN 5).

A worker holds the lease on projecting, so commands know that it projects for them, and wait a little. A rebuild holds the
lease on rebuilding, so that no other process finishes it. A process that dies loses its lease after LEASE_MS. Processes on
the same machine can see that it is gone, and take the lease at once.
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
    """A name under which this process takes leases: `<machine>:<process>:<random>`."""
    return f"{gethostname()}:{os.getpid()}:{new_command_id()}"


class Lease:
    """One town's lease on projecting, or on the job `name`, for `holder`."""

    def __init__(self, client: Redis, keys: Keys, *, holder: str, name: str = PROJECTOR, where: str = "redis") -> None:
        self._client = client
        self._key = keys.lease(name)
        self._holder = holder
        self._where = where
        self._script = LeaseScript(client)

    def take(self) -> bool:
        """Take the lease, or renew it for LEASE_MS; False if another holder has it. Source: lease.lua; GET if refused."""
        with redis_errors(self._where, key=self._key):
            if self._script(lease_key=self._key, holder=self._holder, lease_ms=LEASE_MS):
                return True
            holder = cast("bytes | None", self._client.get(self._key))
            if holder is None or not is_gone(holder.decode(errors="replace")):
                return False
            self._script(lease_key=self._key, holder=holder.decode(errors="replace"), lease_ms=0)
            return self._script(lease_key=self._key, holder=self._holder, lease_ms=LEASE_MS)

    def give_up(self) -> None:
        """Give up the lease at once, if we hold it."""
        with redis_errors(self._where, key=self._key):
            self._script(lease_key=self._key, holder=self._holder, lease_ms=0)

    def is_taken(self) -> bool:
        """Whether a process that still runs holds the lease. Source: GET, and PTTL: a key without a time-out is no lease."""
        with redis_errors(self._where, key=self._key):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.get(self._key)
            pipeline.pttl(self._key)
            holder, remaining_ms = cast("tuple[bytes | None, int]", tuple(pipeline.execute()))
        return holder is not None and remaining_ms >= 0 and not is_gone(holder.decode(errors="replace"))


def is_gone(holder: str) -> bool:
    """Whether `holder` was a process on this machine that no longer runs. False for other machines."""
    machine, _, process = holder.rpartition(":")[0].rpartition(":")
    if machine != gethostname() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        # The process exists and belongs to another user.
        return False
    return False
