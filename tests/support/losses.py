"""Losses of a server: its keys as they were, put back over what came since. So a replica is promoted that was behind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import redis

from town.home.place import HOME_FOLDER
from town.receipts.kept import RECEIPTS_FOLDER

Kept = dict[bytes, bytes]
"""Key -> its value, as DUMP gives it."""


def look_back(client: redis.Redis) -> Kept:
    """All keys of the server as they are now, but for those whose time ends meanwhile."""
    dumps = {key: cast("bytes | None", client.dump(key)) for key in cast("list[bytes]", client.keys("*"))}
    return {key: value for key, value in dumps.items() if value is not None}


def fall_back(client: redis.Redis, kept: Kept) -> None:
    """Make the server hold what it held, and nothing that was written since."""
    client.flushall()
    for key, value in kept.items():
        client.restore(key, 0, value)


def start_over(client: redis.Redis) -> None:
    """Empty the server for another town of the same name and folder: nobody misses what was there."""
    client.flushall()
    shutil.rmtree(Path.home() / HOME_FOLDER / RECEIPTS_FOLDER, ignore_errors=True)
