"""`walks.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.client_errors import UnfitReplyError
from ledger.lua.history import HistoryPage, page_of
from ledger.lua.source import script_source

if TYPE_CHECKING:
    from redis import Redis


class WalksScript:
    """Reads the events of several tasks, newest first."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(self, *, ledger_key: str, starts: Sequence[str], limit: int) -> list[HistoryPage]:
        """At most `limit` events in all, from each of `starts` backwards; a page for each that was come to, in their order."""
        replies = self._script(keys=[ledger_key], args=[limit, *starts])
        if type(replies) is not list or not 1 <= len(replies) <= len(starts):
            raise UnfitReplyError("EVALSHA")
        return [page_of(reply) for reply in replies]
