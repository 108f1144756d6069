"""Opening: from a folder to a town whose server answers."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import InvalidValueError, Keys, check_name
from town.backend import Backend
from town.folder.search import FoundFolder, find
from town.folder.settings import Settings, read_settings, start_of_search
from town.server.connection import Connection, connect, server_url


class OpenTown:
    """An open town: its folder and why it is that one, the connection to its server, and the backend for its rooms."""

    def __init__(self, connection: Connection, *, found: FoundFolder, settings: Settings, actor: str) -> None:
        self.found = found
        self.settings = settings
        self.connection = connection
        self.backend = Backend(
            connection.client,
            Keys(settings.name, settings.redis.hash_tag),
            folder=found.folder,
            actor=actor,
            old_name=settings.old_name,
            alias_town=settings.town.aliases_of,
            where=connection.where,
            is_own_server=connection.server is not None,
        )
        self.backend.replicas = settings.redis.replicas

    @property
    def server_url(self) -> str | None:
        """The URL of its server, as it is in the settings; None for the town's own server."""
        return server_url(self.settings)

    def list_on_server(self) -> None:
        """See to it that the town is in the list of its server, if that is at a URL. No command of every day does it."""
        from town.fleet import list_town  # noqa: PLC0415 - redis-py's client of clusters

        list_town(self.server_url, self.backend.keys)

    def close(self) -> None:
        """Close the connection; the server stays up."""
        self.backend.receipts.close()
        self.connection.close()


def open_town(path: Path | str | None = None, *, actor: str | None = None, is_starting: bool = True) -> OpenTown:
    """The town of the nearest folder upwards from `path` (None: TT_TOWN, then the current folder).

    Starts its own server if it is down, unless `is_starting` is False. `actor` is who acts; None means TT_ACTOR, then
    the login name. TownNotFoundError, SettingsError, StoreUnavailableError. The caller closes the connection.
    """
    found = find(start_of_search(path))
    settings = read_settings(found.folder)
    checked_actor = current_actor(actor)
    connection = connect(found.folder, settings, is_starting=is_starting)
    return OpenTown(connection, found=found, settings=settings, actor=checked_actor)


@contextmanager
def opened(path: Path | str | None = None, *, actor: str | None = None, is_starting: bool = True) -> Iterator[OpenTown]:
    """As `open_town`, and closes it afterwards."""
    town = open_town(path, actor=actor, is_starting=is_starting)
    try:
        yield town
    finally:
        town.close()


def current_actor(actor: str | None = None) -> str:
    """Who acts: `actor`, else TT_ACTOR, else the login name. InvalidValueError without any of these."""
    named = actor if actor is not None else os.environ.get("TT_ACTOR")
    if named is None:
        try:
            named = getpass.getuser()
        except (OSError, KeyError) as error:
            raise InvalidValueError(
                "actor", "is unknown: there is no login name", "Set TT_ACTOR or pass --actor."
            ) from error
    return check_name(named, "actor")
