"""TOML files: read whole and not too large, written by rename.

Most are plain, as `tt init` writes them, and are read line by line: `tomllib` takes a third of the interpreter's start to import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from town.errors import SettingsError
from town.files.os_errors import refuse_os_errors
from town.files.whole_file import OWN_MODE, write_by_rename

SETTINGS_BYTES_MAX: Final = 1024 * 1024


def read_toml(path: Path) -> dict[str, object]:
    """The tables in a TOML file of the user's own. SettingsError if it is not TOML, or too large."""
    with refuse_os_errors(path):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        content = read_whole(path, file)
    return parse_toml(path, content)


def write_toml(path: Path, table: dict[str, object]) -> None:
    """Write a TOML file by rename, so that a crash leaves the old file or the new one."""
    import tomli_w  # noqa: PLC0415 - only who writes needs it

    write_by_rename(path, tomli_w.dumps(table).encode(), mode=OWN_MODE)


def read_whole(path: Path, file: int) -> bytes:
    """All of an open file, which is then closed. SettingsError if it is too large for settings."""
    with open(file, "rb") as opened:
        content = opened.read(SETTINGS_BYTES_MAX + 1)
    if len(content) > SETTINGS_BYTES_MAX:
        raise SettingsError(path, f"has more than {SETTINGS_BYTES_MAX:,} bytes")
    return content


def parse_toml(path: Path, content: bytes) -> dict[str, object]:
    """The tables in the content of the file at `path`. SettingsError."""
    plain = _read_plain(content)
    if plain is not None:
        return plain
    import tomllib  # noqa: PLC0415 - few files have anything that is not plain

    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # ValueError: no TOML, no UTF-8, or a number with thousands of digits.
        raise SettingsError(path, f"is not TOML: {error}") from error


def _read_plain(content: bytes) -> dict[str, object] | None:
    """The tables of a file of plain lines, as `tomllib` reads them.

    None if a line is not plain, or a name comes twice. Plain lines are empty lines, comments on their own line,
    `[table]`, and `key = value` with a string without escapes, true or false.
    """
    if not content.isascii() or not content.replace(b"\n", b" ").decode().isprintable():
        return None
    tables: dict[str, object] = {}
    table = tables
    for line in content.decode().split("\n"):
        stripped = line.strip(" ")
        if not stripped or stripped[0] == "#":
            continue
        if stripped[0] == "[" and stripped[-1] == "]":
            name, into, table = stripped[1:-1].strip(" "), tables, {}
            value: object = table
        else:
            name, _, written = stripped.partition("=")
            name, into = name.rstrip(" "), table
            value = _plain_value(written.lstrip(" "))
        if value is None or name in into or not name.translate(_KEY_SIGNS).isalnum():
            return None
        into[name] = value
    return tables


def _plain_value(written: str) -> str | bool | None:
    """A value without escapes, or None."""
    if len(written) >= 2 and written[0] == written[-1] == '"' and not any(sign in written[1:-1] for sign in '"\\'):
        return written[1:-1]
    return {"true": True, "false": False}.get(written)


_KEY_SIGNS: Final = str.maketrans("-_", "aa")
