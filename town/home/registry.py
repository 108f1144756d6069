"""The towns of this user: `~/.tt/towns.toml` has a name and a path for each, under `towns`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ledger import InvalidValueError
from town.errors import SettingsError
from town.files.os_errors import refuse_os_errors
from town.files.toml_file import read_toml, write_toml
from town.home.place import home_path, make_home_folder


class RegisteredTown(Struct, frozen=True):
    """A town's name and the folder it was made in.

    `is_trust_kept` means that its grants are in `~/.tt/trusted`. Older programs wrote entries without it.
    """

    name: str
    path: str
    is_trust_kept: bool = False


class _Registry(Struct, frozen=True):
    towns: tuple[RegisteredTown, ...] = ()


def registry_path() -> Path:
    return home_path("towns.toml")


def registered_towns() -> tuple[RegisteredTown, ...]:
    """The towns in the order of their paths; empty without a registry. SettingsError."""
    path = registry_path()
    with refuse_os_errors(path):
        if not path.exists():
            return ()
    try:
        return msgspec.convert(read_toml(path), _Registry).towns
    except msgspec.ValidationError as error:
        raise SettingsError(path, str(error)) from error


def register_town(town: RegisteredTown) -> None:
    """Record a town, in place of any entry for its folder. Safe if several processes do it at once.

    InvalidValueError, SettingsError, FolderRefusedError: the list is as it was.
    """
    if not _is_text(town.path):
        raise InvalidValueError(
            "name of the folder", "is not UTF-8, and the list holds text", "Rename it to have it there."
        )
    path = registry_path()
    with refuse_os_errors(path), _locked(path):
        towns = {each.path: each for each in registered_towns()}
        if towns.get(town.path) == town:
            return
        towns[town.path] = town
        tables = [msgspec.to_builtins(towns[key]) for key in sorted(towns)]
        write_toml(path, {"towns": tables})


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    make_home_folder(path)
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
