"""The timeline: how many events a town had, over all of its life, with idle times cut short.

It is put together from the stream's ids and the events' types, undecoded, and kept in memory: a request reads on from where the
last one ended, but no more than EVENTS_PER_REQUEST, and says whether that was all.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from msgspec import Struct

from ledger import BEGINNING, EventStore, Position, StreamEntry, TaskFailed, TaskReopened

EVENTS_PER_REQUEST: Final = 100_000
GAP_SHARE: Final = 200
"""An idle time counts for at most this part of all the time."""
_READ_EVENTS: Final = 2_000
_MARKED: Final = (TaskFailed, TaskReopened)
_TYPE_BYTES: Final = 160
"""An event's type stands behind `prev` and before everything that somebody wrote."""


class Bucket(Struct, frozen=True):
    """Events `first` to `last`, when they were, and how many of them failed or opened a task again."""

    first: int
    last: int
    start_ms: int
    end_ms: int
    failures: int
    reopenings: int


class Timeline:
    """The times of one town's events, as far as they were read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.position = BEGINNING
        self._ms = array("Q")
        self._marks = {kind: array("Q") for kind in _MARKED}

    def read_on(self, store: EventStore, *, events_max: int = EVENTS_PER_REQUEST) -> None:
        """Take in the next events. LedgerDamagedError, StoreUnavailableError: what was taken in stays."""
        with self._lock:
            if self.position != BEGINNING and not store.has(self.position):
                # The ledger is another one, such as an older one that was put back.
                self._begin()
            left = events_max
            for entries in store.read_entries(self.position, limit=_READ_EVENTS):
                self._take(entries)
                left -= len(entries)
                if left <= 0:
                    break

    def buckets(self, count: int) -> list[Bucket]:
        """At most `count` parts of the same compressed time, without those that have no events; oldest first."""
        with self._lock:
            if not self._ms:
                return []
            places = compressed(self._ms)
            width = places[-1] / count
            edges = [0, *(bisect_left(places, width * number) for number in range(1, count)), len(places)]
            return [self._bucket(first, end) for first, end in pairwise(edges) if end > first]

    def _bucket(self, first: int, end: int) -> Bucket:
        failures, reopenings = (
            bisect_left(marks, end + 1) - bisect_left(marks, first + 1) for marks in self._marks.values()
        )
        return Bucket(first + 1, end, self._ms[first], self._ms[end - 1], failures, reopenings)

    def _take(self, entries: Sequence[StreamEntry]) -> None:
        for entry_id, fields in entries:
            ms, _, seq = entry_id.partition(b"-")
            self._ms.append(int(ms))
            head = bytes(fields[1][:_TYPE_BYTES]) if len(fields) > 1 else b""
            for kind, marks in self._marks.items():
                if b'"type":"%s"' % kind.type.encode() in head:
                    marks.append(int(seq))
        self.position = Position(entries[-1][0], "ascii")


def compressed(times: Sequence[int]) -> list[float]:
    """Where each time lies if no gap between two of them counts for more than its share. Pure."""
    longest = max((times[-1] - times[0]) / GAP_SHARE, 1.0)
    return [*accumulate((min(later - earlier, longest) for earlier, later in pairwise(times)), initial=0.0)]
