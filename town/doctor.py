"""Doctor: checks a town's server and its projections, one thing after another. Changes nothing."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, cast

from msgspec import Struct

from ledger import (
    BEGINNING,
    TOWN_ID,
    LedgerDamagedError,
    LedgerError,
    NoPermissionError,
    Position,
    RecordedEvent,
    TaskCreated,
    TownForked,
    flaw_in,
    kinds_of,
    redis_errors,
    task_id_of_alias,
)
from projections import ViewsIncompleteError, is_computed
from town.backend import Backend
from town.folder.data_folder import DataFolder
from town.folder.settings import read_settings
from town.folder.tinytown_places import find_old_places
from town.home.passwords import split_password
from town.migration.old_reader import has_old_tasks
from town.reading.local_zone import local_time
from town.reading.lost_tasks import look_for_lost
from town.recovery.recovery import Recovery
from town.server.connection import Connection
from town.server.durability import Durability, read_durability
from town.server.end import EndCause, Room, last_end, room_at
from town.server.orphans import can_find_orphans, find_orphans

MEMORY_SHARE_MAX: Final = 0.8
DISK_FREE_BYTES_MIN: Final = 64 * 1024 * 1024
"""With less room than this, the disk of a town's own server counts as nearly full."""
CLOCK_BEHIND_MS_MAX: Final = 1_000
LAG_EVENTS_MAX: Final = 5_000
LOST_NAMED_MAX: Final = 3
OLD_TASKS_CALLS_MAX: Final = 1_000
"""How many calls of SCAN search for tasks from before the ledger."""


class CheckState(StrEnum):
    """The result of a check."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Check(Struct, frozen=True):
    """One check: its name, its result, and words about what it found and what to do."""

    name: str
    state: CheckState
    words: str
    error: LedgerDamagedError | None = None


def examine(backend: Backend, connection: Connection) -> list[Check]:
    """Check the town's server and projections. StoreUnavailableError if the server does not answer."""
    information = _read_information(connection)
    return [
        Check("version", CheckState.GOOD, connection.version()),
        *_durability(connection, backend),
        *_password(backend),
        *_disk(backend, connection, information),
        *_memory(information),
        _lock(connection),
        _clock(backend, connection),
        *_orphans(),
        _projections(backend),
        *_snapshots(backend),
        *_aliases(backend),
        _worker(backend),
        *_runs(backend),
        *_cache(backend),
        _receipts(backend),
        *_old_tasks(backend),
    ]


def _read_information(connection: Connection) -> dict[str, Any]:
    """The sections of INFO that are looked at; empty if the user has no right to read it."""
    with redis_errors(connection.where):
        try:
            # redis-py types further sections as lists of texts.
            told = connection.client.info("memory", "persistence", "errorstats")  # type: ignore[arg-type]
        except kinds_of(NoPermissionError):
            return {}
        return cast("dict[str, Any]", told)


def _durability(connection: Connection, backend: Backend) -> list[Check]:
    durability = read_durability(connection, acks=backend.replicas)
    return [*_settings(durability), *_replicas(durability)]


def _replicas(durability: Durability) -> list[Check]:
    """Applies only to a town that waits for replicas."""
    if not durability.acks:
        return []
    wanted = f"a command waits for {durability.acks}"
    if durability.replicas is None:
        return [Check("replicas", CheckState.WARNING, f"how many copy from the server is unknown; {wanted}")]
    if durability.lacks_replicas:
        words = f"{durability.copying} from the server, and {wanted}: it will end with code 6"
        return [Check("replicas", CheckState.BAD, words)]
    return [Check("replicas", CheckState.GOOD, f"{durability.copying} from the server; {wanted}")]


def _settings(durability: Durability) -> list[Check]:
    if not durability.is_known:
        return [Check("durability", CheckState.WARNING, "the server does not show its settings")]
    if durability.problems:
        return [Check("durability", CheckState.BAD, problem) for problem in durability.problems]
    return [Check("durability", CheckState.GOOD, "an acknowledged event is on disk, and nothing is evicted")]


def _password(backend: Backend) -> list[Check]:
    """Applies only to a town whose file holds a password."""
    if split_password(read_settings(backend.folder).redis.url or "")[1] is None:
        return []
    words = (
        "everybody who can read the repository can read the password in tinytown.toml: take it out of [redis] url, and keep it"
        " in ~/.tt/passwords.toml or REDIS_URL"
    )
    return [Check("password", CheckState.WARNING, words)]


def _disk(backend: Backend, connection: Connection, information: dict[str, Any]) -> list[Check]:
    """The server's report on its writes.

    For the town's own server also the room on its disk, and an end for lack of room.
    """
    failed = [
        name for name in ("aof_last_write_status", "aof_last_bgrewrite_status") if information.get(name, "ok") != "ok"
    ]
    if not information:
        words = "unknown, as is its memory: the user in the URL may not ask (INFO)"
        return [Check("disk", CheckState.WARNING, words)]
    room = _room(backend, connection)
    words = "the last write to disk went well" + ("" if room is None else f"; {room}")
    if failed:
        found = Check("disk", CheckState.BAD, f"{' and '.join(failed)} failed: free space on the server's disk")
    elif room is not None and room.is_full:
        found = Check(
            "disk", CheckState.BAD, f"the disk is full: {room}. Free space, or the server ends at its next write"
        )
    elif room is not None and room.free_bytes < DISK_FREE_BYTES_MIN:
        found = Check("disk", CheckState.WARNING, f"the disk is nearly full: {room}")
    else:
        found = Check("disk", CheckState.GOOD, words)
    return [found, *_full_before(backend, connection)]


def _room(backend: Backend, connection: Connection) -> Room | None:
    """The room on the disk of the town's own server. None for other servers, and if the system does not say."""
    if connection.server is None:
        return None
    try:
        return room_at(DataFolder(backend.folder).path)
    except OSError:
        return None


def _full_before(backend: Backend, connection: Connection) -> list[Check]:
    """Applies only to a town whose last server ended because of a full disk. The next regular stop clears it."""
    server = connection.server
    end = None if server is None else last_end(DataFolder(backend.folder), is_running=server.is_running())
    if end is None or end.cause is not EndCause.DISK_FULL:
        return []
    words = f"the server before this one ended at {end.at}, because its disk was full; what was acknowledged is kept"
    return [Check("last end", CheckState.WARNING, words)]


def _memory(information: dict[str, Any]) -> list[Check]:
    return [_memory_used(information)] if "used_memory" in information else []


def _memory_used(information: dict[str, Any]) -> Check:
    used, limit = int(information["used_memory"]), int(information.get("maxmemory", 0))
    refused = int(cast("dict[str, Any]", information.get("errorstat_OOM", {})).get("count", 0))
    times = f"; {refused:,} commands were refused for lack of memory since the server's start" if refused else ""
    words = f"{used / 1_048_576:,.1f} MiB used"
    if not limit:
        return Check("memory", CheckState.WARNING if refused else CheckState.GOOD, f"{words}, no limit set{times}")
    words = f"{words} of {limit / 1_048_576:,.1f} MiB{times}"
    if used >= limit:
        return Check("memory", CheckState.BAD, f"{words}: nothing can be written. Give the server more: maxmemory")
    state = CheckState.WARNING if refused or used > limit * MEMORY_SHARE_MAX else CheckState.GOOD
    return Check("memory", state, words)


def _lock(connection: Connection) -> Check:
    server = connection.server
    if server is None:
        return Check("lock", CheckState.GOOD, "the server is at a URL, and has no lock here")
    if server.is_running():
        return Check("lock", CheckState.GOOD, "the running server holds the folder's lock")
    words = "a server answers on the socket and does not hold the folder's lock: `tt` did not start it. Stop it, then `tt start`"
    return Check("lock", CheckState.BAD, words)


def _clock(backend: Backend, connection: Connection) -> Check:
    """Whether the server's clock, which dates events, has passed the last event. New events get no earlier time than that."""
    with redis_errors(connection.where):
        seconds, microseconds = cast("tuple[int, int]", connection.client.time())
    end = backend.store.end()
    behind_ms = end.ms - (seconds * 1_000 + microseconds // 1_000)
    if end == BEGINNING or behind_ms <= CLOCK_BEHIND_MS_MAX:
        return Check("clock", CheckState.GOOD, "the server's clock is not behind the last event")
    words = (
        f"the server's clock is {timedelta(seconds=behind_ms // 1_000)} behind the last event, of {local_time(end.time)}:"
        " until it has passed that time, all new events get that time. Set the clock of the server's machine"
    )
    return Check("clock", CheckState.WARNING, words)


def _orphans() -> list[Check]:
    """Servers started by `tt` on this machine that nobody can reach. They hold memory and a lock for nothing."""
    if not can_find_orphans():
        return [Check("orphans", CheckState.GOOD, "this system does not tell of other processes")]
    found = [Check("orphans", CheckState.WARNING, orphan.words) for orphan in find_orphans()]
    return found or [Check("orphans", CheckState.GOOD, "no server runs whose folder or socket is gone")]


def _projections(backend: Backend) -> Check:
    try:
        checkpoint = backend.upkeep.projector.checkpoints.read_sound()[0]
        # Whether the events that are not projected yet can be read.
        backend.store.read(checkpoint.position, limit=LAG_EVENTS_MAX)
    except LedgerDamagedError as damage:
        return Check("projections", CheckState.BAD, str(damage), damage)
    lag = backend.store.end().seq - checkpoint.position.seq
    if lag < 0:
        return Check("projections", CheckState.BAD, f"{-lag:,} events ahead of the ledger: `tt verify` tells why")
    events = "1 event" if lag == 1 else f"{lag:,} events"
    words = f"{events} behind the ledger" if lag else "at the ledger's end"
    return Check("projections", CheckState.WARNING if lag > LAG_EVENTS_MAX else CheckState.GOOD, words)


def _snapshots(backend: Backend) -> list[Check]:
    """Whether every task that the views name has a snapshot. No check if the projections cannot be read."""
    try:
        lost = backend.live.count_lost()
    except ViewsIncompleteError as gap:
        return [Check("snapshots", CheckState.BAD, f"{gap.problem}: `tt rebuild` puts the views right")]
    except LedgerDamagedError:
        return []
    if not lost:
        return [Check("snapshots", CheckState.GOOD, "every task has its snapshot")]
    words = f"{lost:,} missing, or not a string: readers fold them from the ledger, `tt rebuild` writes them again"
    return [Check("snapshots", CheckState.BAD, words)]


def _receipts(backend: Backend) -> Check:
    """Whether what this machine was told is still there, as far as the last event and a few others tell."""
    recovery, receipts = Recovery(backend), backend.receipts
    try:
        count, end = recovery.count_kept(), backend.store.end()
        is_known_there = not receipts.known or backend.store.has(Position(receipts.known))
        # What was appended again elsewhere is settled by the next recovery.
        lost = recovery.look().lost if recovery.find_sampled() or not is_known_there else []
    except LedgerError as error:
        return Check("receipts", CheckState.WARNING, f"they are off, so a loss of events would not be noticed: {error}")
    if lost and not is_known_there:
        return Check("receipts", CheckState.BAD, "", receipts.loss(end))
    if lost:
        events = "1 event that was" if len(lost) == 1 else f"{len(lost):,} events that were"
        words = f"{events} acknowledged here cannot be found, the first at {lost[0].position}: `tt verify` names them"
        return Check("receipts", CheckState.BAD, words)
    if (problem := receipts.find_problem()) is not None:
        words = f"they are off, so a loss of events would not be noticed: {problem}"
        return Check("receipts", CheckState.WARNING, words)
    events = "1 event" if count == 1 else f"{count:,} events"
    return Check("receipts", CheckState.GOOD, f"{events} that this machine was told of, and the server has them")


def _cache(backend: Backend) -> list[Check]:
    """Applies only if there is a cache, or something in its place. Nothing of it is opened."""
    try:
        size = backend.cache.look()
    except (LedgerError, OSError) as error:
        return [Check("cache", CheckState.WARNING, f"it is not used, and looks at the past are slower: {error}")]
    if size is None:
        return []
    return [Check("cache", CheckState.GOOD, f"{size / 1_048_576:,.1f} MiB, which can be removed: {backend.cache.path}")]


def _aliases(backend: Backend) -> list[Check]:
    """Whether aliases lead to the ids that tasks have. Applies to a fork, to a ledger of another town, and to a town that says it is one."""
    try:
        town_events = list(backend.store.history_back(TOWN_ID))
    except LedgerDamagedError as damage:
        return [Check("aliases", CheckState.BAD, str(damage), damage)]
    try:
        first_events = next(backend.store.read_batches(), [])
    except LedgerDamagedError:
        # `tt verify` names the damage; it says nothing about aliases.
        first_events = []
    # The oldest fork names the town where the ids began, also in a fork of a fork.
    sources = [
        each.data.source for each in reversed(town_events) if isinstance(each.data, TownForked) and not flaw_in(each)
    ]
    known_as = backend.alias_town
    named = next(((each.task, alias) for each in first_events if (alias := _computed_from(each)) is not None), None)
    if named is None:
        began_as: str | None = sources[0] if sources else known_as
    else:
        task_id, alias = named
        names = (known_as, *sources, backend.name)
        began_as = next((name for name in names if task_id_of_alias(name, alias) == task_id), None)
    if began_as == known_as:
        words = f"they lead to the tasks of the ledger, which began as that of town {known_as!r}"
        return [Check("aliases", CheckState.GOOD, words)] if known_as != backend.name else []
    name = "" if began_as is None else f' = "{began_as}"'
    words = (
        f"their ids are computed from the name {known_as!r}, and the ledger began as that of"
        f" {'another town' if began_as is None else f'town {began_as!r}'}: tasks are not found by alias, and a plan makes"
        f" them again. Set aliases_of{name} under [town] in tinytown.toml"
        + (", to the name of that town" if began_as is None else "")
    )
    return [Check("aliases", CheckState.BAD, words)]


def _computed_from(recorded: RecordedEvent) -> str | None:
    """The alias that the id of a new task was computed from; None for other events and ids."""
    data = recorded.data
    return data.alias if isinstance(data, TaskCreated) and data.alias and is_computed(recorded.task) else None


def _worker(backend: Backend) -> Check:
    words = (
        "a worker or a rebuild is at work"
        if backend.upkeep.lease.is_taken()
        else "no worker runs; commands project by themselves"
    )
    return Check("worker", CheckState.GOOD, words)


def _runs(backend: Backend) -> list[Check]:
    """Whether running tasks have lost their runner. No check if the views cannot tell, which another check says."""
    try:
        lost = look_for_lost(backend)
    except LedgerDamagedError:
        return []
    if not lost.tasks:
        return [Check("runs", CheckState.GOOD, "no running task has lost its runner")]
    named = ", ".join(each.task.alias or each.task.id[:8] for each in lost.tasks[:LOST_NAMED_MAX])
    more = f" and {len(lost.tasks) - LOST_NAMED_MAX:,} more" if len(lost.tasks) > LOST_NAMED_MAX else ""
    tasks = "1 running task has" if len(lost.tasks) == 1 else f"{len(lost.tasks):,} running tasks have"
    words = f"{tasks} lost the runner: {named}{more}. `tt reclaim` lists them, and takes them back with --to-backlog or --to AGENT"
    return [Check("runs", CheckState.WARNING, words)]


def _old_tasks(backend: Backend) -> list[Check]:
    """Applies only to a town that somebody may have forgotten to migrate."""
    if has_old_tasks(backend, calls_max=OLD_TASKS_CALLS_MAX):
        words = "the town has no events, and the server has tasks from before the ledger: `tt migrate --dry-run`"
    elif backend.store.end() == BEGINNING and find_old_places(backend.folder):
        words = "the town has no events, and Tinytown kept its tasks elsewhere: `tt migrate --dry-run` says where"
    else:
        return []
    return [Check("old tasks", CheckState.WARNING, words)]
