"""The user's own folder, `~/.tt`: what belongs to this user on this machine, and to no town.

towns.toml       the towns that `tt init` made
settings.toml    the user's own settings
passwords.toml   the passwords of servers, which stand in no town's file
trusted/         what this user allowed once
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOME_FOLDER: Final = ".tt"


def home_path(name: str) -> Path:
    """Where a file of the user's own lies, whether it is there or not."""
    return Path.home() / HOME_FOLDER / name


def make_home_folder(path: Path) -> None:
    """Make the folder that `path` is to lie in, for this user alone. OSError."""
    for folder in (home_path(""), path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
