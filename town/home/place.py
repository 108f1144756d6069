"""The user's own folder, `~/.tt`: what belongs to this user on this machine, and to no town.

towns.toml       the towns that `tt init` made
settings.toml    the user's own settings
passwords.toml   the passwords of servers, which stand in no town's file
trusted/         what this user allowed once
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HOME_FOLDER: Final = ".tt"
HOME_ADVICE: Final = (
    "What you allow is kept there, so set HOME to a folder of your own that can be written;"
    " where nobody else is on this machine, as in CI, TT_TRUST=1 does without."
)
_NO_HOME: Final = Path("/nonexistent")
"""The home of users that have none, as systems write it."""


def home_path(name: str) -> Path:
    """Where a file of the user's own lies, whether it is there or not."""
    try:
        home = Path.home()
    except RuntimeError:
        home = _NO_HOME
    return home / HOME_FOLDER / name


def make_home_folder(path: Path) -> None:
    """Make the folder that `path` is to lie in, for this user alone. OSError."""
    for folder in (home_path(""), path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def locked_home() -> Iterator[None]:
    """Inside, no other process changes a file of `~/.tt` that is read, changed and written. OSError."""
    lock = os.open(home_path(""), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
