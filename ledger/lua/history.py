"""`history.lua`, typed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ledger.lua.source import script_source

if TYPE_CHECKING:
    from redis import Redis


class HistoryStatus(Enum):
    """How a page of a history ended."""

    WHOLE = b"whole"
    PARTIAL = b"partial"
    BROKEN = b"broken"
    CIRCULAR = b"circular"


class HistoryPage(NamedTuple):
    """Stream entries, newest first; `position` is where the next page begins, or the missing event of a broken history."""

    status: HistoryStatus
    position: str
    entries: list[tuple[bytes, list[bytes]]]


class HistoryScript:
    """Reads one task's events, newest first."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self, *, ledger_key: str, heads_key: str, task: str, from_position: str | None, limit: int
    ) -> HistoryPage:
        """At most `limit` events from `from_position` backwards, or from the task's last event where that is None."""
        reply = cast("list[Any]", self._script(keys=[ledger_key, heads_key], args=[task, from_position or "", limit]))
        return HistoryPage(HistoryStatus(reply[0]), reply[1].decode(), reply[2:])
