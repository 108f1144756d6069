"""`history.lua`, typed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ledger.client_errors import UnfitReplyError
from ledger.lua.source import script_source
from ledger.reply_shapes import are_entries, is_id

if TYPE_CHECKING:
    from redis import Redis


class HistoryStatus(Enum):
    """How a page of a history ended."""

    WHOLE = b"whole"
    PARTIAL = b"partial"
    BROKEN = b"broken"
    CIRCULAR = b"circular"


class HistoryPage(Struct, frozen=True):
    """Stream entries, newest first. `position` is where the next page begins, or the missing event of a broken history."""

    status: HistoryStatus
    position: str
    entries: list[Any]


class HistoryScript:
    """Reads one task's events, newest first."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self, *, ledger_key: str, heads_key: str, task_id: str, from_position: str | None, limit: int
    ) -> HistoryPage:
        """At most `limit` events, backwards from `from_position`, or from the task's last event if that is None."""
        return self.understand(self._script(keys=[ledger_key, heads_key], args=[task_id, from_position or "", limit]))

    def command(self, *, ledger_key: str, heads_key: str, task_id: str, limit: int) -> tuple[str | int, ...]:
        """The command for a task's last events, to be sent with others. The server may not know the script yet."""
        return "EVALSHA", self._script.sha, 2, ledger_key, heads_key, task_id, "", limit

    def understand(self, reply: Any) -> HistoryPage:  # noqa: ANN401 - whatever the server says
        """The page in a reply to `command`. UnfitReplyError."""
        match reply:
            case [b"whole", b"", *entries] if are_entries(entries):
                return HistoryPage(HistoryStatus.WHOLE, "", entries)
            case [b"partial" | b"circular" as status, bytes(position), _, *_] if is_id(position) and are_entries(
                reply[2:]
            ):
                return HistoryPage(HistoryStatus(status), position.decode(), reply[2:])
            case [b"broken", bytes(position), *entries] if are_entries(entries):
                # A head may hold anything.
                return HistoryPage(HistoryStatus.BROKEN, position.decode(errors="replace"), entries)
            case _:
                raise UnfitReplyError("EVALSHA")
