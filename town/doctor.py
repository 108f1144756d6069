"""Doctor: what is good and bad about a town's server and its projections, one check after another. Changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, cast

from msgspec import Struct

from ledger import BEGINNING, LedgerDamagedError, redis_errors
from town.connection import Connection
from town.durability import read_durability
from town.folder import read_settings
from town.orphans import can_find_orphans, find_orphans
from town.passwords import split_password
from town.town import Town

MEMORY_SHARE_MAX: Final = 0.8
LAG_EVENTS_MAX: Final = 5_000
OLD_TASKS_CALLS_MAX: Final = 1_000
"""How many calls of SCAN look for tasks from before the ledger."""


class CheckState(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Check(Struct, frozen=True):
    """One thing that was looked at, how it is, and in words what was found and what to do."""

    name: str
    state: CheckState
    words: str


def examine(town: Town) -> list[Check]:
    """Look at the town's server and projections. StoreUnavailableError where the server does not answer."""
    connection = town.connection
    with redis_errors(connection.where):
        memory = cast("dict[str, Any]", connection.client.info("memory"))
        persistence = cast("dict[str, Any]", connection.client.info("persistence"))
    return [
        Check("version", CheckState.GOOD, connection.version()),
        *_durability(connection),
        *_password(town),
        _persistence(persistence),
        _memory(memory),
        _lock(town),
        *_orphans(),
        _projections(town),
        _worker(town),
        *_old_tasks(town),
    ]


def _durability(connection: Connection) -> list[Check]:
    durability = read_durability(connection)
    if not durability.is_known:
        return [Check("durability", CheckState.WARNING, "the server does not show its settings")]
    if durability.problems:
        return [Check("durability", CheckState.BAD, problem) for problem in durability.problems]
    return [Check("durability", CheckState.GOOD, "an acknowledged event is on disk, and nothing is evicted")]


def _password(town: Town) -> list[Check]:
    """Only a town whose file holds a password has this check."""
    if split_password(read_settings(town.folder).redis.url or "")[1] is None:
        return []
    words = (
        "the password in tinytown.toml can be read by whoever reads the repository: take it out of [redis] url, and keep it"
        " in ~/.tt/passwords.toml or REDIS_URL"
    )
    return [Check("password", CheckState.WARNING, words)]


def _persistence(persistence: dict[str, Any]) -> Check:
    failed = [
        name for name in ("aof_last_write_status", "aof_last_bgrewrite_status") if persistence.get(name, "ok") != "ok"
    ]
    if failed:
        return Check("disk", CheckState.BAD, f"{' and '.join(failed)} failed: free space on the server's disk")
    return Check("disk", CheckState.GOOD, "the last write to disk went well")


def _memory(memory: dict[str, Any]) -> Check:
    used, limit = int(memory["used_memory"]), int(memory.get("maxmemory", 0))
    words = f"{used / 1_048_576:,.1f} MiB used"
    if not limit:
        return Check("memory", CheckState.GOOD, f"{words}, no limit set")
    state = CheckState.WARNING if used > limit * MEMORY_SHARE_MAX else CheckState.GOOD
    return Check("memory", state, f"{words} of {limit / 1_048_576:,.1f} MiB")


def _lock(town: Town) -> Check:
    server = town.connection.server
    if server is None:
        return Check("lock", CheckState.GOOD, "the server is at a URL, and has no lock here")
    if server.is_running():
        return Check("lock", CheckState.GOOD, "the running server holds the folder's lock")
    words = "a server answers on the socket and does not hold the folder's lock: `tt` did not start it. Stop it, then `tt start`"
    return Check("lock", CheckState.BAD, words)


def _orphans() -> list[Check]:
    """Other servers of this machine's `tt` that nobody can reach; their memory and their lock are held for nothing."""
    if not can_find_orphans():
        return [Check("orphans", CheckState.GOOD, "this system does not tell of other processes")]
    found = [Check("orphans", CheckState.WARNING, orphan.words) for orphan in find_orphans()]
    return found or [Check("orphans", CheckState.GOOD, "no server runs whose folder or socket is gone")]


def _projections(town: Town) -> Check:
    try:
        checkpoint = town.projector.checkpoints.read_sound()[0]
        # Whether what is still to be projected can be read at all.
        town.store.read(checkpoint.position, limit=LAG_EVENTS_MAX)
    except LedgerDamagedError as damage:
        return Check("projections", CheckState.BAD, str(damage))
    lag = town.end().seq - checkpoint.position.seq
    if lag < 0:
        return Check("projections", CheckState.BAD, f"{-lag:,} events ahead of the ledger: `tt verify` tells why")
    events = "1 event" if lag == 1 else f"{lag:,} events"
    words = f"{events} behind the ledger" if lag else "at the ledger's end"
    return Check("projections", CheckState.WARNING if lag > LAG_EVENTS_MAX else CheckState.GOOD, words)


def _worker(town: Town) -> Check:
    words = (
        "a worker or a rebuild is at work"
        if town.lease.is_taken()
        else "no worker runs; commands project by themselves"
    )
    return Check("worker", CheckState.GOOD, words)


def _old_tasks(town: Town) -> list[Check]:
    """Only a town that may have been forgotten has this check."""
    if town.has_old_tasks(calls_max=OLD_TASKS_CALLS_MAX):
        words = "the town has no events, and the server has tasks from before the ledger: `tt migrate --dry-run`"
    elif town.end() == BEGINNING and town.old_places():
        words = "the town has no events, and Tinytown kept its tasks elsewhere: `tt migrate --dry-run` says where"
    else:
        return []
    return [Check("old tasks", CheckState.WARNING, words)]
