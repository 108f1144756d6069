"""Copier: appends stored events to a town's ledger as they are in another ledger, with their positions.

Imports and forks use it. It does not know what the events mean: the caller has checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

from ledger.chain import Chain
from ledger.errors import LedgerDamagedError, StoreUnavailableError, WrongExpectedEndError
from ledger.exchange import exchange, raise_error
from ledger.keys import Keys
from ledger.lua import Damaged
from ledger.lua.copy import Copied, CopyReply, CopyScript, Elsewhere
from ledger.position import Position
from ledger.recorded_event import StreamEntry, without_prev
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

    from ledger.event_store import Receipts

COPY_EVENTS_MAX: Final = 1_000
COPY_BYTES_MAX: Final = 8 * 1024 * 1024
COPY_ATTEMPTS_MAX: Final = 3


class Copier:
    """Writes to one town's ledger. `chain` has followed every event in it; None for a ledger without events.

    `where` names the server in messages. What was copied is kept in `receipts`.
    """

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        chain: Chain | None = None,
        where: str = "redis",
        receipts: Receipts | None = None,
    ) -> None:
        self._receipts = receipts
        self._client = client
        self._keys = keys
        self._where = where
        self._script = CopyScript(client)
        self._chain = Chain() if chain is None else chain

    def copy(self, entries: Sequence[StreamEntry]) -> Position:
        """Append the entries that come next; returns the ledger's new end. As `copy_batches`."""
        return self.copy_batches([entries])

    def copy_batches(self, batches: Iterable[Sequence[StreamEntry]]) -> Position:
        """As `copy`, for batch after batch: the next one is read while the server writes the one before.

        Entries are written in batches of our own, each all or none. So an error or a crash leaves a ledger that is whole up
        to some event, and a later copy continues there. LedgerDamagedError, WrongExpectedEndError, StoreUnavailableError.
        Source: copy.lua.
        """
        under_way: Callable[[], None] | None = None
        try:
            for batch in _batches(batches):
                end = self._chain.position
                heads = self._chain.follow(batch)
                if under_way is not None:
                    finish, under_way = under_way, None
                    finish()
                under_way = self._begin(end, heads, batch)
        finally:
            if under_way is not None:
                under_way()
        return self._chain.position

    def _begin(
        self, end: Position, heads: Mapping[str, tuple[str, str]], entries: Sequence[StreamEntry]
    ) -> Callable[[], None]:
        """Send a batch. Call the returned function to wait until it is written."""
        begin = partial(
            self._script.begin,
            ledger_key=self._keys.ledger,
            heads_key=self._keys.heads,
            end=end,
            heads=heads,
            entries=entries,
        )
        return partial(self._finish, begin, begin(), end, entries)

    def _finish(
        self,
        begin: Callable[[], Callable[[], CopyReply]],
        begun: Callable[[], CopyReply],
        end: Position,
        entries: Sequence[StreamEntry],
    ) -> None:
        for attempt in range(1, COPY_ATTEMPTS_MAX + 1):
            try:
                with redis_errors(self._where):
                    reply = begun()
            except StoreUnavailableError as error:
                if attempt == COPY_ATTEMPTS_MAX or error.has_refused:
                    raise
                # The server may have carried it out nevertheless; the end of the ledger shows that.
                begun = begin()
                continue
            if not (attempt > 1 and isinstance(reply, Elsewhere) and self._has_written(entries[-1])):
                self._check(reply, end)
            if self._receipts is not None:
                for run in _runs(entries):
                    self._receipts.keep(Position(run[0][0], "ascii"), [without_prev(fields[1]) for _, fields in run])
            return

    def _check(self, reply: CopyReply, end: Position) -> None:
        match reply:
            case Copied():
                return
            case Elsewhere(position):
                raise WrongExpectedEndError(end, position)
            case Damaged(place, count):
                raise LedgerDamagedError(
                    f"The stream {self._keys.ledger} holds {count} entries and ends at {place}, which no append leaves:"
                    " another program wrote to it or deleted it. Restore the data folder from a backup."
                )
            case conflict:
                raise LedgerDamagedError(
                    f"The hash {self._keys.heads} has {conflict.actual or 'nothing'} for task {conflict.task_id}, and the"
                    f" ledger {conflict.expected or 'nothing'}: something other than the append script changed it."
                    " Restore the data folder from a backup."
                )

    def _has_written(self, entry: StreamEntry) -> bool:
        """Whether the ledger has this entry, byte for byte: then the server has carried out a request whose reply was lost."""
        with redis_errors(self._where):
            [reply] = exchange(self._client, [("XRANGE", self._keys.ledger, entry[0], entry[0])])
            raise_error([reply])
        return bool(reply == [[entry[0], [*entry[1]]]])


def _runs(entries: Sequence[StreamEntry]) -> Iterator[list[StreamEntry]]:
    """The entries in their order, those of one millisecond together."""
    for _, run in groupby(entries, lambda entry: entry[0].partition(b"-")[0]):
        yield list(run)


def _batches(batches: Iterable[Sequence[StreamEntry]]) -> Iterator[list[StreamEntry]]:
    """The entries in order, at most COPY_EVENTS_MAX at once, and COPY_BYTES_MAX unless a single one is larger."""
    for entries in batches:
        batch: list[StreamEntry] = []
        size_bytes = 0
        for entry in entries:
            size_bytes += len(entry[1][1])
            if batch and (len(batch) == COPY_EVENTS_MAX or size_bytes > COPY_BYTES_MAX):
                yield batch
                batch, size_bytes = [], len(entry[1][1])
            batch.append(entry)
        if batch:
            yield batch
