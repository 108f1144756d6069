"""The user's own folder, `~/.tt`: what belongs to this user on this machine, and not to a town.

towns.toml       the towns that `tt init` made
settings.toml    the user's own settings
passwords.toml   the passwords of servers, which stand in no town's file
trusted/         what this user allowed once

HOME may name a place where others can write, such as /tmp, so it is used only if it is this user's own.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from town.errors import NotOursError
from town.files.plain_file import trusts_everything

HOME_FOLDER: Final = ".tt"
HOME_ADVICE: Final = (
    "What you allow is kept there, so set HOME to a folder of your own that can be written;"
    " where nobody else is on this machine, as in CI, TT_TRUST=1 does without."
)
_NO_HOME: Final = Path("/nonexistent")
"""What systems enter as the home of users without one."""


def home_path(name: str) -> Path:
    """The path of a file of the user's own; it need not exist.

    NotOursError if the folder belongs to another user, or if others may write there: they would choose what this user
    runs and trusts.
    """
    try:
        home = Path.home()
    except RuntimeError:
        home = _NO_HOME
    if not home.is_absolute():
        # A relative path would be another folder in each place, such as the `.tt` of a clone.
        home = _NO_HOME
    folder = home / HOME_FOLDER
    _refuse_other_than_own(folder)
    return folder / name


def make_home_folder(path: Path) -> None:
    """Make the folder for `path`, for this user alone. OSError."""
    for folder in (home_path(""), path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def locked_home() -> Iterator[None]:
    """Lock a file of `~/.tt` against other processes while it is read, changed and written. OSError."""
    lock = os.open(home_path(""), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _refuse_other_than_own(folder: Path) -> None:
    with suppress(OSError):
        # Trust only a link that this user made: another one may lead to a folder of this user's with foreign content,
        # such as a clone.
        named, led_to = folder.lstat(), folder.stat()
        if trusts_everything():
            return
        if {named.st_uid, led_to.st_uid} != {os.geteuid()}:
            raise NotOursError(folder, "belongs to another user", HOME_ADVICE)
        if led_to.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise NotOursError(folder, "can be written by other users", "Take that right away from them (chmod go-w).")
