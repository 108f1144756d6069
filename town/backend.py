"""Backend: the value that every room of a town receives. Made once, when the town is opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger import EventStore, Keys
from projections import LiveBoard, Loader, Upkeep
from town.receipts.kept import KeptReceipts

if TYPE_CHECKING:
    from redis import Redis

    from ledger import Acks
    from town.cache import Cache


class Keyed(NamedTuple):
    """The id that the caller chose for the present command, and what finds the receipt of it if it was carried out before."""

    command_id: str
    find: Callable[[], object]


class Backend:
    """One town's ledger, snapshots and views, their upkeep, and who acts.

    `old_name` is Tinytown's name for the town, if it differs. `alias_town` is the name that the ids of aliases are computed
    from; a fork keeps the name of its source. `where` names the server in messages.
    `is_own_server` says that the ledger lies in the town's folder.
    """

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        folder: Path,
        actor: str,
        old_name: str | None = None,
        alias_town: str | None = None,
        where: str = "redis",
        is_own_server: bool = False,
    ) -> None:
        self.client = client
        self.keys = keys
        self.name = keys.town
        self.old_name = old_name or keys.town
        self.alias_town = alias_town or keys.town
        self.folder = folder
        self.actor = actor
        self.where = where
        self._is_own_server = is_own_server
        self.replicas = 0
        """How many copies an append waits for."""
        self.receipts = KeptReceipts(folder, keys.town)
        """What this machine was told of the ledger."""
        self.store = EventStore(client, keys, where=where, receipts=self.receipts)
        self.live = LiveBoard(client, keys, store=self.store, where=where)
        self.upkeep = Upkeep(client, keys, store=self.store, where=where)
        self.loader = Loader(self.store, self.live, keys, self.upkeep)
        self.keyed: Keyed | None = None
        """Set while a command is carried out whose id the caller chose."""
        self.called: dict[str, str] = {}
        """The aliases by which the user named tasks, by id: errors name a task by both."""

    @cached_property
    def acks(self) -> Acks:
        """Waits until what was appended is on as many replicas as the settings say."""
        from ledger import Acks  # noqa: PLC0415 - few towns wait

        return Acks(self.client, self.keys, replicas=self.replicas, where=self.where)

    @cached_property
    def cache(self) -> Cache:
        """What is kept beside the ledger to answer faster, and may be gone at any time."""
        from town.cache import Cache, CachePlace  # noqa: PLC0415 - it loads SQLite, and few questions need it

        server = None if self._is_own_server else f"{self.where} {self.keys.prefix}"
        return Cache(CachePlace(self.folder, server=server))
