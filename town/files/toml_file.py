"""TOML files: read whole and not too large, written by rename."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Final

from town.errors import SettingsError
from town.files.os_errors import refuse_os_errors
from town.files.whole_file import OWN_MODE, write_by_rename

SETTINGS_BYTES_MAX: Final = 1024 * 1024


def read_toml(path: Path) -> dict[str, object]:
    """The tables in a TOML file of the user's own; SettingsError where it is none, or too large."""
    with refuse_os_errors(path):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        content = read_whole(path, file)
    return parse_toml(path, content)


def write_toml(path: Path, table: dict[str, object]) -> None:
    """Write a TOML file by rename, so that a crash leaves the old file or the new one."""
    import tomli_w  # noqa: PLC0415 - only who writes needs it

    write_by_rename(path, tomli_w.dumps(table).encode(), mode=OWN_MODE)


def read_whole(path: Path, file: int) -> bytes:
    """All of an open file, which is closed; SettingsError where it is larger than settings are."""
    with open(file, "rb") as opened:
        content = opened.read(SETTINGS_BYTES_MAX + 1)
    if len(content) > SETTINGS_BYTES_MAX:
        raise SettingsError(path, f"has more than {SETTINGS_BYTES_MAX:,} bytes")
    return content


def parse_toml(path: Path, content: bytes) -> dict[str, object]:
    """The tables in the content of the file at `path`. SettingsError."""
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(path, f"is not TOML: {error}") from error
