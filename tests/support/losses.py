"""Losses of a server: its keys as they were, put back over what came since. So a replica is promoted that was behind."""

from __future__ import annotations

from typing import cast

import redis

Kept = dict[bytes, bytes]
"""Key -> its value, as DUMP gives it."""


def look_back(client: redis.Redis) -> Kept:
    """All keys of the server as they are now."""
    keys = cast("list[bytes]", client.keys("*"))
    return {key: cast("bytes", client.dump(key)) for key in keys}


def fall_back(client: redis.Redis, kept: Kept) -> None:
    """Make the server hold what it held, and nothing that was written since."""
    client.flushall()
    for key, value in kept.items():
        client.restore(key, 0, value)
