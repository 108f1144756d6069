"""`place.lua`, typed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ledger.client_errors import UnfitReplyError
from ledger.lua.source import script_source
from ledger.position import Position

if TYPE_CHECKING:
    from redis import Redis


class Placing(Enum):
    """What became of a staged ledger."""

    PLACED = b"placed"
    OCCUPIED = b"occupied"
    CHANGED = b"changed"


class PlaceScript:
    """Puts a staged ledger into its place, whole."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self,
        *,
        staged_ledger_key: str,
        staged_heads_key: str,
        ledger_key: str,
        heads_key: str,
        last_position: Position,
        events: int,
    ) -> Placing:
        """What came of it; `last_position` and `events` say what was staged."""
        keys = [staged_ledger_key, staged_heads_key, ledger_key, heads_key]
        reply = self._script(keys=keys, args=[last_position, events])
        try:
            return Placing(reply)
        except ValueError:
            raise UnfitReplyError("EVALSHA") from None
