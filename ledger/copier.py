"""Copier: puts stored events at the end of a town's ledger as they stand in another, positions and all.

An import and a fork write by it. It knows nothing of what the events mean: who copies has judged them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from ledger.chain import Chain
from ledger.errors import LedgerDamagedError, StoreUnavailableError, WrongExpectedEndError
from ledger.exchange import exchange, raise_error
from ledger.keys import Keys
from ledger.lua import Copied, CopyScript, Damaged, Elsewhere
from ledger.position import Position
from ledger.recorded_event import Entry
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

COPY_EVENTS_MAX: Final = 1_000
COPY_BYTES_MAX: Final = 8 * 1024 * 1024
COPY_ATTEMPTS_MAX: Final = 3


class Copier:
    """Writes to one town's ledger. `chain` has followed every event that stands there; None for a ledger without events.

    `where` names the server in messages.
    """

    def __init__(self, client: Redis, keys: Keys, *, chain: Chain | None = None, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._script = CopyScript(client)
        self._chain = Chain() if chain is None else chain

    def copy(self, entries: Sequence[Entry]) -> Position:
        """Put the entries that come next at the end; returns the ledger's end then.

        They are written in batches, each all or none: whatever ends this leaves a ledger that is whole as far as it goes,
        and from its end a later copy goes on. LedgerDamagedError, WrongExpectedEndError, StoreUnavailableError. Source: copy.lua.
        """
        for batch in _batches(entries):
            self._write(batch)
        return self._chain.position

    def _write(self, entries: Sequence[Entry]) -> None:
        end = self._chain.position
        heads = self._chain.follow(entries)
        for attempt in range(1, COPY_ATTEMPTS_MAX + 1):
            try:
                with redis_errors(self._where):
                    reply = self._script(
                        ledger_key=self._keys.ledger,
                        heads_key=self._keys.heads,
                        end=end,
                        heads=heads,
                        entries=entries,
                    )
            except StoreUnavailableError as error:
                if attempt == COPY_ATTEMPTS_MAX or error.has_refused:
                    raise
                # It may have been carried out all the same; then the ledger's end says so.
                continue
            match reply:
                case Copied():
                    return
                case Elsewhere(position):
                    if attempt > 1 and position == self._chain.position and self._has_written(entries[-1]):
                        return
                    raise WrongExpectedEndError(end, position)
                case Damaged(place, count):
                    raise LedgerDamagedError(
                        f"The stream {self._keys.ledger} holds {count} entries and ends at {place}, which no append leaves:"
                        " something else wrote or deleted it. Restore the data folder from a backup."
                    )
                case conflict:
                    raise LedgerDamagedError(
                        f"The hash {self._keys.heads} has {conflict.actual or 'nothing'} for task {conflict.task_id}, and the"
                        f" ledger {conflict.expected or 'nothing'}: something other than the append script changed it."
                        " Restore the data folder from a backup."
                    )

    def _has_written(self, entry: Entry) -> bool:
        """Whether the last entry of the ledger is this one, byte for byte: then a lost request was carried out."""
        with redis_errors(self._where):
            [reply] = exchange(self._client, [("XRANGE", self._keys.ledger, entry[0], entry[0])])
            raise_error([reply])
        return bool(reply == [[entry[0], [*entry[1]]]])


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in turn, at most COPY_EVENTS_MAX and, but for a single one, COPY_BYTES_MAX at once."""
    rest = iter(entries)
    while batch := list(islice(rest, COPY_EVENTS_MAX)):
        while batch:
            count, size_bytes = 0, 0
            for _, (_, payload) in batch:
                size_bytes += len(payload)
                if count and size_bytes > COPY_BYTES_MAX:
                    break
                count += 1
            yield batch[:count]
            batch = batch[count:]
