"""Lists, starts and stops the servers of towns without opening a town, so that nothing starts one by accident."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from ledger import LedgerError, StoreUnavailableError
from town.errors import ServerNotOwnError
from town.folder.search import find_folder
from town.folder.settings import is_town, read_settings, start_of_search
from town.home.registry import RegisteredTown, registered_towns
from town.server.connection import connect, server_url
from town.server.own_server import EmbeddedServer


class TownState(StrEnum):
    """The state of a registered town."""

    UP = "up"
    DOWN = "down"
    GONE = "gone"
    REFUSED = "refused"
    """Its connection or data is not trusted, or not this user's own."""


class FoundTown(Struct, frozen=True):
    """A registered town, and whether its server is up. `remark` has further words for the user."""

    name: str
    path: str
    state: TownState
    remark: str | None = None


class Switched(Struct, frozen=True):
    """A town whose server was started or stopped. `has_changed` is False if it was in that state already."""

    name: str
    where: str
    has_changed: bool


class Stopped(Switched, frozen=True):
    """As Switched. `is_running` means that another server was started meanwhile, or that the call did not wait."""

    is_running: bool


def find_towns() -> list[FoundTown]:
    """Every registered town, by path. Starts no server."""
    towns = registered_towns()
    return [FoundTown(each.name, each.path, _state(Path(each.path)), _remark(each, towns)) for each in towns]


def start_town(path: Path | None) -> Switched:
    """Start the server of the town at `path`. For a server at a URL, check that it answers."""
    folder = find_folder(start_of_search(path))
    settings = read_settings(folder)
    has_changed = server_url(settings) is None and not EmbeddedServer(folder).answers()
    connection = connect(folder, settings)
    connection.close()
    return Switched(settings.name, connection.where, has_changed)


def stop_town(path: Path | None, *, actor: str | None = None, is_waiting: bool = True) -> Stopped:
    """Stop the server of the town at `path`, once.

    ServerNotOwnError if it is not the town's own, and no own one runs. Returns when it is gone, or, without `is_waiting`, after telling it
    to stop. Users whose commands it ends see `actor`.
    """
    folder = find_folder(start_of_search(path))
    settings = read_settings(folder)
    server = EmbeddedServer(folder)
    # One that runs although the town is elsewhere was left behind when the town moved.
    if server_url(settings) is not None and not server.is_running():
        raise ServerNotOwnError(settings.name)
    has_changed = server.stop(actor=actor, is_waiting=is_waiting)
    return Stopped(settings.name, server.where, has_changed, is_running=server.is_running())


def _state(folder: Path) -> TownState:
    try:
        if not is_town(folder):
            return TownState.GONE
        settings = read_settings(folder)
        if server_url(settings) is None:
            return TownState.UP if EmbeddedServer(folder).is_running() else TownState.DOWN
        connect(folder, settings, is_starting=False).close()
    except StoreUnavailableError:
        return TownState.DOWN
    except LedgerError:
        return TownState.REFUSED
    return TownState.UP


def _remark(town: RegisteredTown, towns: Sequence[RegisteredTown]) -> str | None:
    """Two folders may have the same name, as clones of a repository do. Each has its own ledger."""
    others = [each.path for each in towns if each.name == town.name and each.path != town.path]
    return f"another town than the {town.name} in {', '.join(others)}" if others else None
