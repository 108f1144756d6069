"""Finds tasks by the words in their texts: in a large town from an index, elsewhere and at a past moment by a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import Position
from projections import Found, Query, read_texts, scan

if TYPE_CHECKING:
    from projections import Progress
    from town.backend import Backend

INDEX_EVENTS_MIN: Final = 5_000
"""A shorter ledger is scanned: that takes no longer than to open the index."""


def find(
    backend: Backend,
    query: Query,
    *,
    upto: Position | None = None,
    offset: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """The tasks that fit, best first, then newest first; with `upto` as of the event there, which reads the ledger.

    From `offset`, at most `limit`. LedgerDamagedError.
    """
    store = backend.store
    end = store.end() if upto is None else upto
    if upto is None and end.seq >= INDEX_EVENTS_MIN:
        from town.reading.index_finder import IndexFinder  # noqa: PLC0415 - it loads OpenSSL and SQLite

        found = IndexFinder(store, backend.cache, end, progress=progress).find(query, offset=offset, limit=limit)
        if found is not None:
            return found
    return scan(read_texts(store, upto=end, progress=progress), query, offset=offset, limit=limit)
