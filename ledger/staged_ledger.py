"""A ledger that is written whole beside its place, and put there in one step: so no crash leaves half of one.

It is how a town begins with the events of another one, at their positions (`docs/decisions/0030`). Until it is placed, no
reader sees anything of it, and the next attempt clears it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.copier import Copier
from ledger.event_store import EventStore
from ledger.keys import Keys
from ledger.lua.place import PlaceScript, Placing
from ledger.position import Position
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

    from ledger.recorded_event import NewEvent, StreamEntry


class StagedLedger:
    """The ledger that the town of `keys` will have. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._staged = _StagedKeys(keys.town, keys.hash_tag)
        self._where = where
        self._store = EventStore(client, self._staged, where=where)
        self._copier = Copier(client, self._staged, where=where)

    @property
    def keys(self) -> frozenset[str]:
        """The keys that are there until the town is whole."""
        return frozenset({self._staged.ledger, self._staged.heads, self._keys.fork_begun})

    def was_begun(self) -> bool:
        """Whether somebody began to write it, and did not say that the town is whole."""
        with redis_errors(self._where):
            return bool(self._client.exists(*sorted(self.keys)))

    def begin(self) -> None:
        """Take away what somebody else left, and say that it is begun."""
        self.clear()
        with redis_errors(self._where):
            self._client.set(self._keys.fork_begun, b"1")

    def clear(self) -> None:
        """Take away everything that is there until the town is whole."""
        with redis_errors(self._where):
            self._client.unlink(*sorted(self.keys))

    def withdraw(self) -> None:
        """Take away what was placed, and what is staged: the town was never whole, and nobody has seen it."""
        with redis_errors(self._where):
            self._client.unlink(self._keys.ledger, self._keys.heads)
        self.clear()

    def add(self, entries: Sequence[StreamEntry]) -> Position:
        """Put the stream entries that come next at the end, byte for byte and at their positions; returns the end. As `Copier.copy`."""
        return self._copier.copy(entries)

    def append(self, event: NewEvent) -> Position:
        """Append the first event of its own, as `EventStore.append` does."""
        return self._store.append([event], {event.task: event.version - 1})[0]

    def version(self, task_id: str) -> int:
        """How many events the task has in it."""
        return self._store.head(task_id)[0]

    def place(self, end: Position) -> Placing:
        """Put it into its place, whole, if its last event is at `end` and none is missing. Source: place.lua."""
        with redis_errors(self._where):
            return PlaceScript(self._client)(
                staged_ledger_key=self._staged.ledger,
                staged_heads_key=self._staged.heads,
                ledger_key=self._keys.ledger,
                heads_key=self._keys.heads,
                last_position=end,
                events=end.seq,
            )


class _StagedKeys(Keys, frozen=True):
    """Where the ledger and its heads are until they are placed."""

    @property
    def ledger(self) -> str:
        return self.fork_ledger

    @property
    def heads(self) -> str:
        return self.fork_heads
