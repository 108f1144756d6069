"""`copy.lua`, typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger.client_errors import UnfitReplyError
from ledger.exchange import Arguments, begin_script
from ledger.lua.append import Damaged
from ledger.lua.source import script_source
from ledger.reply_shapes import is_id

if TYPE_CHECKING:
    from redis import Redis

    from ledger.recorded_event import StreamEntry


class Copied(Struct, frozen=True):
    """The entries are in the ledger."""


class Elsewhere(Struct, frozen=True):
    """The ledger ends at another position than expected; nothing was written."""

    position: str


class HeadConflict(Struct, frozen=True):
    """A task has another head than expected; nothing was written. A head is `<version>:<position>`, '' for none."""

    task_id: str
    expected: str
    actual: str


CopyReply = Copied | Elsewhere | HeadConflict | Damaged

_COPIED: Final = Copied()


class CopyScript:
    """Appends entries as they are in another ledger, all or none."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._script = client.register_script(script_source(__file__))

    def begin(
        self,
        *,
        ledger_key: str,
        heads_key: str,
        end: str,
        heads: Mapping[str, tuple[str, str]],
        entries: Iterable[StreamEntry],
    ) -> Callable[[], CopyReply]:
        """Send the script. Call the returned function to read the reply; it also raises what went wrong while sending.

        `end` is where the ledger ends now; `heads` is task id -> its head now and after, of every task of the entries.
        """
        arguments: Arguments = [end, len(heads)]
        for task_id, (before, after) in heads.items():
            arguments += (task_id, before, after)
        for position, (_, payload) in entries:
            arguments += (position, payload)
        finish = begin_script(self._pool, self._script, [ledger_key, heads_key], arguments)
        return lambda: _understand(finish())


def _understand(reply: object) -> CopyReply:
    match reply:
        case [b"copied"]:
            return _COPIED
        case [b"elsewhere", bytes(position)] if is_id(position):
            return Elsewhere(position.decode())
        case [b"conflict", bytes(), bytes(), bytes()] as conflict:
            return HeadConflict(*(each.decode(errors="replace") for each in conflict[1:]))
        case [b"damaged", bytes(place), int(count)]:
            return Damaged(place.decode(errors="replace"), count)
        case _:
            raise UnfitReplyError("EVALSHA")
