"""Backend: the value that every room of a town receives. Made once, when the town is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ledger import EventStore, Keys
from projections import LiveBoard, Loader, Upkeep

if TYPE_CHECKING:
    from redis import Redis


class Backend:
    """One town's ledger, snapshots and views, their upkeep, and who acts.

    `old_name` is Tinytown's name for the town, if it differs. `alias_town` is the name that the ids of aliases are computed
    from; a fork keeps the name of its source. `where` names the server in messages.
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
    ) -> None:
        self.client = client
        self.keys = keys
        self.name = keys.town
        self.old_name = old_name or keys.town
        self.alias_town = alias_town or keys.town
        self.folder = folder
        self.actor = actor
        self.where = where
        self.store = EventStore(client, keys, where=where)
        self.live = LiveBoard(client, keys, store=self.store, where=where)
        self.upkeep = Upkeep(client, keys, store=self.store, where=where)
        self.loader = Loader(self.store, self.live, keys, self.upkeep)
