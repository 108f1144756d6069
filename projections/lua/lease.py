"""`lease.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import is_yes, script_source

if TYPE_CHECKING:
    from redis import Redis


class LeaseScript:
    """Takes, renews or gives up a lease."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(self, *, lease_key: str, holder: str, lease_ms: int) -> bool:
        """Whether `holder` has the lease now, for `lease_ms`; 0 gives it up."""
        return is_yes(self._script(keys=[lease_key], args=[holder, lease_ms]), "EVALSHA")
