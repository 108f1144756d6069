"""The user's shells: where the script that completes command lines is kept, and the line that makes a shell read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.files.os_errors import refuse_os_errors
from town.files.whole_file import write_by_rename
from town.home.place import HOME_FOLDER, home_path, make_home_folder

_STARTUP_FILES: Final = {"bash": ("HOME", ".bashrc"), "zsh": ("ZDOTDIR", ".zshrc")}
"""Shell -> the variable that names the folder of its start-up file, if it is set, and the file."""


class InstalledScript(Struct, frozen=True):
    """Where a script was written, and the file that now has a line for it; None if the shell looks there by itself.

    `was_named` means that the line was there already.
    """

    path: Path
    startup_file: Path | None
    was_named: bool


def install_script(shell: str, script: str) -> InstalledScript:
    """Keep the script for `shell`, in place of an older one, and let the shell read it. FolderRefusedError."""
    if shell not in _STARTUP_FILES:
        path = _fish_folder() / "tt.fish"
        with refuse_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_by_rename(path, script.encode())
        return InstalledScript(path, None, was_named=True)
    path = home_path(f"completion.{shell}")
    variable, name = _STARTUP_FILES[shell]
    startup_file = Path(os.environ.get(variable) or Path.home()) / name
    line = f'[ -r "$HOME/{HOME_FOLDER}/{path.name}" ] && . "$HOME/{HOME_FOLDER}/{path.name}"  # completion of tt'
    with refuse_os_errors(path):
        make_home_folder(path)
        write_by_rename(path, script.encode())
        was_named = _add_line(startup_file, line)
    return InstalledScript(path, startup_file, was_named)


def _add_line(file: Path, line: str) -> bool:
    """Put a line at the end of a file, unless it is there. Whether it was. What is there stays as it is, a link too. OSError."""
    there = file.read_bytes() if file.exists() else b""
    if line.encode() in there.splitlines():
        return True
    with file.open("ab") as opened:
        opened.write(b"\n" * (there != b"" and not there.endswith(b"\n")) + line.encode() + b"\n")
    return False


def _fish_folder() -> Path:
    settings = os.environ.get("XDG_CONFIG_HOME")
    return (Path(settings) if settings else Path.home() / ".config") / "fish" / "completions"
