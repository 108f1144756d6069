"""`close.lua`, typed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger.client_errors import UnfitReplyError
from ledger.lua.append import Damaged
from ledger.lua.copy import Elsewhere
from ledger.lua.source import script_source
from ledger.reply_shapes import is_id
from ledger.times import TIME_MS_MAX

if TYPE_CHECKING:
    from redis import Redis

CLOSED_GROUP: Final = "closed"
"""The consumer group of a closed ledger. `append.lua` looks for it where a ledger has any group, which costs the others nothing."""
SEALED_TIME: Final = TIME_MS_MAX + 1
"""The milliseconds of a sealed ledger's last id. Every append refuses a ledger that ends so late, those of older programs too."""


class Door(StrEnum):
    """Whether a ledger takes events: closed, it can be read; sealed, it cannot."""

    OPEN = "open"
    CLOSED = "closed"
    SEALED = "sealed"


class Done(Struct, frozen=True):
    """The ledger is as wished, and ends there."""

    position: str


class Noted(Struct, frozen=True):
    """There is another note than expected; nothing was written."""

    note: bytes


CloseReply = Done | Noted | Elsewhere | Damaged


class CloseScript:
    """Closes, seals and opens a ledger."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self, *, ledger_key: str, note_key: str, before: bytes, after: bytes, door: Door, end: str | None
    ) -> CloseReply:
        """Change the note from `before` to `after` (empty for none), and the ledger with it, if it ends at `end` (None: anywhere)."""
        arguments = [before, after, door.value, end or "", CLOSED_GROUP, SEALED_TIME]
        match self._script(keys=[ledger_key, note_key], args=arguments):
            case [b"done", bytes(position)] if is_id(position):
                return Done(position.decode())
            case [b"noted", bytes(note)]:
                return Noted(note)
            case [b"elsewhere", bytes(position)] if is_id(position):
                return Elsewhere(position.decode())
            case [b"damaged", bytes(place), int(entries)]:
                return Damaged(place.decode(errors="replace"), entries)
            case _:
                raise UnfitReplyError("EVALSHA")
