"""The user's own settings, `~/.tt/settings.toml`: a town's file must not set them, because they make `tt` run a
program.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec
from msgspec import Struct

from town.errors import SettingsError
from town.files.os_errors import refuse_os_errors
from town.files.toml_file import read_toml
from town.home.place import home_path

USER_SETTINGS_FILE: Final = "settings.toml"


class _RedisSettings(Struct, frozen=True):
    binary: str | None = None


class _UserSettings(Struct, frozen=True):
    redis: _RedisSettings = _RedisSettings()


def server_binary() -> str | None:
    """The program that this user wants as a town's own server: TT_SERVER_BINARY, else `[redis] binary`. SettingsError."""
    named = os.environ.get("TT_SERVER_BINARY")
    if named:
        return named
    path = home_path(USER_SETTINGS_FILE)
    with refuse_os_errors(path):
        if not path.exists():
            return None
    try:
        return msgspec.convert(read_toml(path), _UserSettings).redis.binary
    except msgspec.ValidationError as error:
        raise SettingsError(path, str(error)) from error
