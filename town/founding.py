"""Founding: makes a folder a town, and remembers that what it leads to is this user's own. All or nothing.

Who makes a town allows what it leads to; a town that is met as it is has to be allowed like any other (`permission`).
"""

from __future__ import annotations

from pathlib import Path

from town.data_folder import DataFolder
from town.folder import absolute, is_town, make_folder, refuse_os_errors
from town.home import home_path, make_home_folder
from town.passwords import keep_password, split_password
from town.search import FoundFolder, place_of_new_town, refuse_foreign
from town.trust import TRUSTED_FOLDER, allow, connection_grant, own_town_grant


def make_town(start: Path, *, name: str | None, url: str | None, is_here: bool) -> FoundFolder:
    """Make the folder at `start` a town, or meet the one that is there. Its server is not started.

    NotOursError, NotTrustedError, FolderRefusedError, TownExistsError, SettingsError: nothing was made.
    """
    start = absolute(start)
    if is_here:
        refuse_foreign(start)
    place = FoundFolder(start) if is_here else place_of_new_town(start)
    plain_url, password = (None, None) if url is None else split_password(url)
    if is_town(place.folder):
        make_folder(place.folder, name=name, url=plain_url)
        if plain_url is not None and password is not None:
            # Said again: the one before may have been wrong.
            keep_password(plain_url, password)
    else:
        _found(place.folder, name=name, url=plain_url, password=password)
    if is_here and place_of_new_town(start).folder != start:
        allow(own_town_grant(start), start)
    return place


def _found(folder: Path, *, name: str | None, url: str | None, password: str | None) -> None:
    if url is None and DataFolder(folder).exists():
        # Data without a town: whoever brought it, it is not loaded unasked.
        DataFolder(folder).require_trust()
    with refuse_os_errors(home_path(TRUSTED_FOLDER)):
        # Looked at first: a town whose trust cannot be kept would be refused at its next command.
        make_home_folder(home_path(TRUSTED_FOLDER) / "grant")
    if url is not None and password is not None:
        keep_password(url, password)
    make_folder(folder, name=name, url=url)
    if url is not None:
        allow(connection_grant(folder, url), folder)
