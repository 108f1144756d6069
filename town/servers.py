"""The servers of towns, looked at and switched without opening a town: nothing here starts one by accident."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from ledger import LedgerError
from town.connection import connect, server_url
from town.errors import ServerNotOwnError
from town.folder import find_folder, is_town, read_settings, start_of_search
from town.registry import registered_towns
from town.server import EmbeddedServer


class TownState(StrEnum):
    """What became of a registered town."""

    UP = "up"
    DOWN = "down"
    GONE = "gone"


class FoundTown(Struct, frozen=True):
    """A registered town, and whether its server is up."""

    name: str
    path: str
    state: TownState


class Switched(Struct, frozen=True):
    """A town whose server was told to start or stop; `has_changed` is False where it was so already."""

    name: str
    where: str
    has_changed: bool


def find_towns() -> list[FoundTown]:
    """Every registered town, by path; no server is started."""
    return [FoundTown(each.name, each.path, _state(Path(each.path))) for each in registered_towns()]


def start_town(path: Path | None) -> Switched:
    """Start the server of the town at `path`. For a town whose server is elsewhere, see whether it answers."""
    folder = find_folder(start_of_search(path))
    settings = read_settings(folder)
    has_changed = server_url(settings) is None and not EmbeddedServer(folder).answers()
    connection = connect(folder, settings)
    connection.close()
    return Switched(settings.name, connection.where, has_changed)


def stop_town(path: Path | None) -> Switched:
    """Stop the server of the town at `path`; ServerNotOwnError where it is not the town's own."""
    folder = find_folder(start_of_search(path))
    settings = read_settings(folder)
    if server_url(settings) is not None:
        raise ServerNotOwnError(settings.name)
    server = EmbeddedServer(folder)
    return Switched(settings.name, server.where, server.stop())


def _state(folder: Path) -> TownState:
    try:
        if not is_town(folder):
            return TownState.GONE
        settings = read_settings(folder)
        if server_url(settings) is None:
            return TownState.UP if EmbeddedServer(folder).is_running() else TownState.DOWN
        connect(folder, settings, is_starting=False).close()
    except LedgerError:
        return TownState.DOWN
    return TownState.UP
