"""Founding: makes a folder a town, and remembers that its server and data are this user's own. All or nothing.

A user who makes a town thereby allows its server and data. An existing town has to be allowed like any other
(`permission`). `tinytown.toml` is written last, after the server has answered. Until then nobody can find the town, so
it can be taken back.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ledger import Keys
from town.errors import FolderRefusedError, ForkRefusedError, NotOursError
from town.files.os_errors import refuse_os_errors
from town.files.plain_file import trusts_everything
from town.files.taking_back import Undo, all_or_nothing
from town.folder.agent_notes import AgentNotes, plan_agent_notes
from town.folder.data_folder import DataFolder
from town.folder.search import FoundFolder, place_of_new_town, refuse_foreign
from town.folder.settings import (
    SETTINGS_FILE,
    SOCKET_FILE,
    Settings,
    absolute,
    add_gitignore_lines,
    is_town,
    name_ledger,
    settings_to_be,
    write_new_settings,
)
from town.home.grants import TRUSTED_FOLDER, Grant, allow, connection_grant, is_granted, own_town_grant
from town.home.passwords import keep_password, split_password
from town.home.place import HOME_ADVICE, home_path
from town.receipts.setting_aside import set_aside_receipts
from town.server.connection import Connection, connect, server_url
from town.server.own_server import EmbeddedServer

FOUNDING_SECONDS_MAX: Final = 120
"""How long a `tt init` waits for another one in the same folder."""
_POLL_SECONDS: Final = 0.01


class MadeTown(Struct, frozen=True):
    """A new or existing town: its folder, its settings, and a connection that answers."""

    found: FoundFolder
    settings: Settings
    connection: Connection
    agent_notes: AgentNotes | None = None
    """What the folder's `AGENTS.md` got, if it was to get its section."""


class Origin(Struct, frozen=True):
    """What a town begins with that is made from another one.

    `settings` is what its `tinytown.toml` says besides. `fill` writes its whole ledger; the town can be found after that.
    `take_back` deletes the ledger if `fill`, or a later step, fails.
    """

    settings: Settings
    fill: Callable[[Connection, Settings], None]
    take_back: Callable[[], None]


def make_town(
    start: Path,
    *,
    name: str | None,
    url: str | None,
    is_here: bool,
    origin: Origin | None = None,
    has_agent_notes: bool = False,
) -> MadeTown:
    """Make the folder at `start` a town, or take the existing one, and connect to its server.

    With `origin` the town must be new: ForkRefusedError if there is one. With `has_agent_notes` its `AGENTS.md` gets its section:
    AgentNotesRefusedError if it cannot.
    NotOursError, NotTrustedError, FolderRefusedError, TownExistsError, SettingsError, StoreUnavailableError: nothing was
    made, and an existing town is unchanged.
    """
    start = absolute(start)
    if is_here:
        refuse_foreign(start)
    place = FoundFolder(start) if is_here else place_of_new_town(start)
    plain_url, password = (None, None) if url is None else split_password(url)
    # Check the arguments before making anything.
    _refuse_home(place.folder)
    settings_to_be(place.folder, name=name, url=plain_url)
    with all_or_nothing() as undo:
        with refuse_os_errors(place.folder):
            _make_folders(place.folder, undo)
        with _alone(place.folder):
            is_new = not is_town(place.folder)
            # Refused before anything is made.
            notes = plan_agent_notes(place.folder) if has_agent_notes else None
            settings = settings_to_be(place.folder, name=name, url=plain_url)
            settings = _as_of(origin, settings, place.folder, is_new=is_new)
            if is_new:
                _prepare(place.folder, settings, undo)
            if plain_url is not None and password is not None:
                # A repeated password replaces the one before, which may have been wrong.
                keep_password(plain_url, password, undo)
            if is_here and place_of_new_town(start).folder != start:
                _allow(own_town_grant(start), start, undo)
            connection = connect(place.folder, settings)
            try:
                if is_new and connection.is_of_cluster():
                    settings = replace(settings, redis=replace(settings.redis, hash_tag=True))
                    connection.close()
                    # The URL may be that of a node that does not have the slot.
                    connection = connect(place.folder, settings)
                if is_new:
                    set_aside_receipts(place.folder, settings.name)
                    _open_to_others(place.folder, settings, connection, origin)
                elif settings.is_named_anew:
                    name_ledger(place.folder, settings.name)
                if notes is not None:
                    notes.write()
            except BaseException:
                connection.close()
                raise
    _list(settings)
    return MadeTown(place, settings, connection, notes)


def _refuse_home(folder: Path) -> None:
    """NotOursError for a new town in the home folder: its `.tt` is the user's own."""
    own = home_path("")
    if folder == absolute(own.parent) and not is_town(folder):
        advice = "Make the town in a folder below, such as `tt init --town ~/my-town`."
        raise NotOursError(own, "has your own settings, and not those of a town", advice)


def _list(settings: Settings) -> None:
    """Write the town into the list of its server, if that is at a URL."""
    url = server_url(settings)
    if url is not None:
        from town.fleet import list_town  # noqa: PLC0415 - a town's own server has no list

        list_town(url, Keys(settings.name, settings.redis.hash_tag))


def _as_of(origin: Origin | None, settings: Settings, folder: Path, *, is_new: bool) -> Settings:
    """The settings with what the town has from its origin. ForkRefusedError where it has one, and is there already."""
    if origin is None:
        return settings
    if not is_new:
        raise ForkRefusedError(settings.name, f"{folder} is a town already", "Name another folder.")
    redis = replace(settings.redis, hash_tag=origin.settings.redis.hash_tag)
    return replace(settings, redis=redis, town=origin.settings.town)


def _open_to_others(folder: Path, settings: Settings, connection: Connection, origin: Origin | None) -> None:
    """Write what makes the folder a town, once its ledger is whole."""
    if origin is None:
        write_new_settings(folder, settings)
        return
    try:
        origin.fill(connection, settings)
        write_new_settings(folder, settings)
    except BaseException:
        origin.take_back()
        raise


def _prepare(folder: Path, settings: Settings, undo: Undo) -> None:
    """Make everything that a new town needs before the first connection to its server."""
    undo.note = "No town was made"
    data = DataFolder(folder)
    if settings.redis.url is None and data.exists():
        # Data without a town may come from anybody, so it is not loaded without permission.
        data.require_trust()
    _make_home(undo)
    with refuse_os_errors(folder):
        add_gitignore_lines(folder, undo)
    if settings.redis.url is not None:
        _allow(connection_grant(folder, settings.redis.url), folder, undo)
    if server_url(settings) is None:
        _add_server(folder, undo)


def _make_folders(folder: Path, undo: Undo) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    for each in reversed(missing):
        undo.make_folder(each)


def _make_home(undo: Undo) -> None:
    """The next command would refuse a town whose grant was not kept. With TT_TRUST no grant is needed."""
    if trusts_everything():
        return
    path = home_path(TRUSTED_FOLDER)
    try:
        for folder in (path.parent, path):
            undo.make_folder(folder, mode=0o700)
    except OSError as error:
        raise FolderRefusedError(path, error, advice=HOME_ADVICE) from error


def _allow(grant: Grant, folder: Path, undo: Undo) -> None:
    if not is_granted(grant):
        undo.add(grant.path, grant.path.unlink)
    allow(grant, folder)


def _add_server(folder: Path, undo: Undo) -> None:
    """Register to take back the own server and its data, which the first connection makes, unless they existed before."""
    data, server = DataFolder(folder), EmbeddedServer(folder)
    had_folder, had_data = data.exists(), data.exists() and not data.is_empty()
    was_running = had_data and server.is_running()
    had_socket = os.path.lexists(folder / SOCKET_FILE)

    def take_back() -> None:
        if not was_running:
            server.stop()
        if not had_socket:
            (folder / SOCKET_FILE).unlink(missing_ok=True)
        if not had_data and data.exists():
            data.remove()
        if had_folder and not had_data:
            data.path.mkdir(mode=0o700)

    undo.add(data.path, take_back)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that keeps any other `tt init` off the folder. FolderRefusedError after a time limit."""
    with refuse_os_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + FOUNDING_SECONDS_MAX
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                advice = "Another `tt init` is at work there: wait for it, or end it, and try again."
                raise FolderRefusedError(folder / SETTINGS_FILE, error, advice=advice) from error
            time.sleep(_POLL_SECONDS)
        except OSError:
            # A file system without locks: then the user has to run one at a time.
            return
        else:
            return
