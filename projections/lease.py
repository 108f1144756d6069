"""Lease: who does at the moment what several could do. It saves work; correctness needs none of it (DESIGN 5).

A worker holds the one on projecting, so commands know that somebody projects for them and wait a little. A rebuild holds
the one on rebuilding, so that nobody else finishes it. Whoever holds a lease and dies loses it after LEASE_MS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from ledger import Keys, redis_errors
from projections.lua.lease import LeaseScript

if TYPE_CHECKING:
    from redis import Redis

LEASE_MS: Final = 2_000
PROJECTOR: Final = "projector"
REBUILD: Final = "rebuild"


class Lease:
    """One town's lease on projecting, or on what `name` says, as `holder` sees it."""

    def __init__(self, client: Redis, keys: Keys, *, holder: str, name: str = PROJECTOR, where: str = "redis") -> None:
        self._client = client
        self._key = keys.lease(name)
        self._holder = holder
        self._where = where
        self._script = LeaseScript(client)

    def take(self) -> bool:
        """Take it, or hold it for LEASE_MS more; False where somebody else has it. Source: lease.lua."""
        with redis_errors(self._where, key=self._key):
            return self._script(lease_key=self._key, holder=self._holder, lease_ms=LEASE_MS)

    def give_up(self) -> None:
        """Let others have it at once; nothing happens where we do not hold it."""
        with redis_errors(self._where, key=self._key):
            self._script(lease_key=self._key, holder=self._holder, lease_ms=0)

    def is_taken(self) -> bool:
        """Whether anybody holds it. Source: PTTL, because a key without a time-out is nobody's."""
        with redis_errors(self._where):
            return cast("int", self._client.pttl(self._key)) >= 0
