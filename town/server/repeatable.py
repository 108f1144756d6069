"""Which commands may be sent again if their reply was lost: they read only, or a second time changes nothing more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

from town.server.due_replies import Command

_READS: Final = frozenset(
    """
    DBSIZE DUMP EXISTS GET HELLO HEXISTS HGET HGETALL HKEYS HLEN HMGET HSCAN INFO LRANGE MGET PING PTTL SCAN SCARD SINTERCARD
    SCRIPT SDIFF SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER SSCAN STRLEN SUNION TIME TTL TYPE XINFO XLEN XRANGE XREAD
    XREVRANGE ZCARD ZINTER ZINTERCARD ZMSCORE ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZSCAN ZSCORE
    """.split()  # noqa: SIM905 - a line for each would be most of this file
)
_SCRIPTS: Final = {
    "ledger.lua": ("history",),
    "projections.lua": ("commit", "lease", "look", "ready", "relatives", "runs", "scan", "walk"),
}
"""All read only but two: a commit checks the checkpoint that it moves, and a lease knows its holder."""
_AROUND: Final = frozenset({"EXEC", "MULTI"})


def are_repeatable(commands: Iterable[Command]) -> bool:
    """Whether all of them may be sent again, whether or not they were carried out."""
    return all(_is_repeatable(command) for command in commands)


def _is_repeatable(command: Command) -> bool:
    name = str(command[0]).partition(" ")[0].upper()
    return name in _READS or name in _AROUND or (name == "EVALSHA" and command[1] in _hashes())


@cache
def _hashes() -> frozenset[str]:
    """The names that a server has for these scripts."""
    sources = (resources.files(room) / f"{name}.lua" for room, names in _SCRIPTS.items() for name in names)
    return frozenset(hashlib.sha1(source.read_bytes()).hexdigest() for source in sources)  # noqa: S324 - the server's way
