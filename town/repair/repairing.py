"""Repairs a town's damaged files on a copy.

A server loads the copy before it replaces the original. Nothing is deleted: the damaged files are kept, together with
what could be read behind the damage. The repair holds the folder's lock throughout, so no server starts meanwhile.
`salvage` reads, `mend` puts the copy right, `replacement` puts it in place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import msgspec
import redis
from msgspec import Struct
from redis.backoff import NoBackoff
from redis.retry import Retry

from ledger import StoreUnavailableError, redis_errors
from town.aof.format import AOF_FOLDER, MANIFEST_FILE, AofFile, AofFolder, AofKind
from town.aof.salvage import (
    EVENT_BYTES_MIN,
    FoundEvent,
    Salvage,
    SalvagedFile,
    events_behind,
    keys_of_ledger,
    salvage,
)
from town.errors import FileDamagedError, NotTrustedError, RepairRefusedError
from town.files.os_errors import refuse_os_errors
from town.folder.data_folder import DataFolder
from town.folder.search import find_folder
from town.folder.settings import DATA_FOLDER, LOCK_FILE, read_settings, start_of_search
from town.home.grants import revoke_trust
from town.repair.mend import MendedTown, mend_towns
from town.repair.replacement import Replacement, encode_manifest, sync_folders
from town.server.connection import server_url
from town.server.log import LOG_FILE
from town.server.own_server import EmbeddedServer
from town.server.socket_path import SocketPath
from town.trust.permission import require_data

BEHIND_FILE: Final = "behind-the-damage.aof"
EVENTS_FILE: Final = "events-behind-the-damage.jsonl"
_SCRATCH_PREFIX: Final = "repairing-"
_COPY_BYTES: Final = 1_048_576
_LOST_MAX: Final = 10_000_000
"""The most events that a missing file is assumed to have held."""


class RepairPlan(Struct, frozen=True):
    """What is damaged, and what a repair keeps and loses. `towns` are those of the repaired copy.

    `events_behind` counts the events read from the first damage on; `events_left_out` counts those of them that cannot
    be kept in their place. `keeps_all` means that no event is lost.
    """

    salvage: Salvage
    towns: tuple[MendedTown, ...]
    events_behind: int
    events_left_out: int

    @property
    def keeps_all(self) -> bool:
        return not self.events_left_out and not any(each.lost for each in self.towns)


class Repair:
    """A repair of the town in `folder`, with no server running meanwhile.

    A context manager; it removes its copy at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / DATA_FOLDER
        self._scratch = self._data / f"{_SCRATCH_PREFIX}{os.getpid()}"
        self._found: Salvage | None = None
        self._left_out = 0
        self._last_words = ""
        self._is_empty = False
        self.is_foreign = False
        """Whether the data was not made here. `tt trust` allows it, before or after the repair."""
        self.has_files = False
        """Whether there were any files to look at."""
        self.remark: str | None = None
        """What the user should know about how the data was allowed."""
        self.finished: Path | None = None
        """Where `look` kept the damaged files of an earlier, killed repair that it finished."""
        self.between_steps: Callable[[], None] = lambda: None
        """Called between the steps that put the repaired files in place. An exception from it ends the repair there."""

    def look(self) -> RepairPlan | None:
        """Read the files, make the repaired copy, and load it; None if nothing is damaged.

        Does not change the original. FileDamagedError if no copy can be made that a server loads, NotTrustedError if a
        file cannot be inspected.
        """
        with refuse_os_errors(self._data):
            self.finished = Replacement(self._data).finish()
        with AofFolder(self._data) as folder:
            self.has_files = bool(folder.names())
            if not self.has_files:
                return None
            found = salvage(folder)
            if found.is_whole and not found.is_binary:
                return None
            if found.is_binary and self.is_foreign:
                require_data(self._folder)
            towns = self._try(folder, found)
            if towns is None and found.is_binary:
                # Only a server can read the base, and it refuses to: only what was appended since is left.
                found = salvage(folder, refused=f"the server does not load it: {self._last_words}")
                towns = self._try(folder, found)
            if towns is None:
                problem = f"what can be read of it cannot be loaded: {self._last_words}"
                raise FileDamagedError(folder.path, problem, f"Restore {self._data} from a backup.")
            if self._is_empty and found.damages:
                advice = f"Restore {self._data} from a backup; without one, move it away, and the town begins anew."
                raise FileDamagedError(folder.path, "nothing in it can be read", advice)
            if found.is_whole:
                return None
            self._found = found
            return RepairPlan(found, tuple(towns), len(found.events), self._left_out)

    def carry_out(self) -> Path:
        """Replace the original with the copy that `look` made; returns the folder where the original is kept.

        After each step a server loads the folder either as before or as repaired. FolderRefusedError.
        """
        assert self._found is not None
        with refuse_os_errors(self._data):
            return Replacement(self._data, between_steps=self.between_steps).run(
                self._copy,
                damaged=[each.file for each in self._found.files] if self._found.manifest_problem else None,
                beside=[self._scratch / BEHIND_FILE, self._scratch / EVENTS_FILE],
            )

    @property
    def _copy(self) -> Path:
        return self._scratch / DATA_FOLDER / AOF_FOLDER

    def __enter__(self) -> Self:
        try:
            self.remark = require_data(self._folder)
        except NotTrustedError:
            # Data that came with a copy can be damaged too. The repair keeps no command of it that does more than
            # change data, and the repaired files need the same permission as the damaged ones.
            self.is_foreign = True
        self._lock = self._take_lock()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with refuse_os_errors(self._scratch):
                self._remove_scratch()
        finally:
            os.close(self._lock)

    def _take_lock(self) -> int:
        """Hold the folder's lock, as a server would.

        RepairRefusedError if a server holds it, or something else answers.
        """
        with refuse_os_errors(self._data):
            lock = DataFolder(self._folder).open_file(LOCK_FILE, os.O_CREAT | os.O_RDWR)
        try:
            with refuse_os_errors(self._data):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    problem = "its server runs, or is being started or repaired"
                    raise RepairRefusedError(self._folder, problem) from None
            self._refuse_foreign_server()
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _refuse_foreign_server(self) -> None:
        """A server that `tt` did not start holds no lock, but may have the files open."""
        if EmbeddedServer(self._folder).answers():
            raise RepairRefusedError(self._folder, "a server answers on its socket")

    def _remove_scratch(self) -> None:
        """Remove the copies of this repair and of killed ones: they hold nothing that is not elsewhere too."""
        for path in self._data.glob(f"{_SCRATCH_PREFIX}*"):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(StoreUnavailableError):
                    EmbeddedServer(path).stop()
                revoke_trust(path)
                shutil.rmtree(path)

    def _try(self, folder: AofFolder, found: Salvage) -> list[MendedTown] | None:
        """Make the copy and have a server load it; None if the server refuses, or if there is nothing to load."""
        if not found.files:
            self._last_words = "no file of it can be read"
            return None
        with refuse_os_errors(self._scratch):
            self._remove_scratch()
            self._scratch.mkdir(mode=0o700)
            DataFolder(self._scratch).make()
            self._copy.mkdir(mode=0o700)
            self._left_out = self._keep_behind(folder, found)
            self._make_copy(folder, found)
        return self._load_and_mend(found)

    def _keep_behind(self, folder: AofFolder, found: Salvage) -> int:
        """Write what was read behind the first damage into two files. Returns how many events of it are left out."""
        first_file, first_offset = found.first
        with (self._scratch / BEHIND_FILE).open("xb") as behind:
            for index, each in enumerate(found.files[first_file:]):
                with folder.opened(each.file.name) as descriptor:
                    for place in each.readable(0 if index else first_offset):
                        _copy(descriptor, place, behind.fileno())
            os.fsync(behind.fileno())
        left_out = 0
        with (self._scratch / EVENTS_FILE).open("xb") as lines:
            for event in events_behind(folder, found):
                left_out += not event.is_kept
                lines.write(_event_line(event))
            lines.flush()
            os.fsync(lines.fileno())
        return left_out

    def _make_copy(self, folder: AofFolder, found: Salvage) -> None:
        """Write the files that a server can load, under names that do not occur in the original."""
        number = max((each.file.seq for each in found.files), default=0) + 1
        names = set(folder.names())
        files: list[AofFile] = []
        for each in found.files:
            word = "base" if each.file.kind is AofKind.BASE else "incr"
            suffix = "rdb" if each.file.name.endswith(".rdb") else "aof"
            while f"appendonly.aof.{number}.{word}.{suffix}" in names:
                number += 1
            file = AofFile(f"appendonly.aof.{number}.{word}.{suffix}", number, each.file.kind)
            number += 1
            files.append(file)
            with folder.opened(each.file.name) as descriptor:
                _copy_file(descriptor, each, self._copy / file.name)
        (self._copy / MANIFEST_FILE).write_bytes(encode_manifest(files))
        sync_folders(self._copy)

    def _load_and_mend(self, found: Salvage) -> list[MendedTown] | None:
        """Have a server load the copy, and put right what follows from the events; None if it does not load."""
        server = EmbeddedServer(self._scratch)
        try:
            server.start()
        except StoreUnavailableError as error:
            self._last_words = _last_words(self._copy.with_name(LOG_FILE)) or error.problem
            return None
        # Count each byte that is left out. The length of a missing file is unknown.
        is_counted = found.manifest_problem is None and all(each.end for each in found.damages)
        lost_max = found.bytes_left_out // EVENT_BYTES_MIN + 1 if is_counted and not found.is_binary else _LOST_MAX
        path = SocketPath(self._scratch)
        client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
        try:
            with redis_errors(server.where):
                # The new manifest lists the files that the folder then has.
                client.config_set("auto-aof-rewrite-percentage", 0)
                # All of it is on disk once the server has ended.
                client.config_set("appendfsync", "no")
                self._is_empty = client.dbsize() == 0
            return mend_towns(client, where=server.where, lost_max=lost_max)
        finally:
            client.close()
            path.close()
            server.stop()


@contextlib.contextmanager
def opened_repair(path: Path | None) -> Iterator[tuple[str, Repair | None]]:
    """The name of the town at `path`, and a repair of it; None if its server never ran. RepairRefusedError."""
    folder = find_folder(start_of_search(path))
    settings = read_settings(folder)
    if server_url(settings) is not None:
        raise RepairRefusedError(folder, "its server is at a URL, and its files are that server's")
    if not DataFolder(folder).exists():
        yield settings.name, None
        return
    with Repair(folder) as repair:
        yield settings.name, repair


def _last_words(log: Path) -> str:
    """The server's last words about the problem, without time and place."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        warnings = [line.partition(" # ")[2] for line in lines if " # " in line]
        return warnings[-1].partition(". You can:")[0].rstrip(".") if warnings else ""
    return ""


def _event_line(event: FoundEvent) -> bytes:
    """A line of JSON: the fields that people look for first, and the event as it was stored."""
    keys = keys_of_ledger(event.key.encode())
    try:
        stored = msgspec.json.decode(event.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        stored = None
    known = stored if isinstance(stored, dict) else {}
    line = {
        "town": event.key if keys is None else keys.town,
        "number": event.position.seq,
        "position": str(event.position),
        "task": known.get("task"),
        "type": known.get("type"),
        "is_kept": event.is_kept,
        "event": event.payload.decode(errors="replace") if stored is None else stored,
    }
    return msgspec.json.encode(line) + b"\n"


def _copy_file(descriptor: int, each: SalvagedFile, path: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    target = os.open(path, flags, 0o600)
    try:
        for place in each.kept():
            _copy(descriptor, place, target)
        os.fsync(target)
    finally:
        os.close(target)


def _copy(descriptor: int, place: tuple[int, int] | bytes, target: int) -> None:
    """Write a part of a file, from an offset to an end, or the given bytes."""
    if isinstance(place, bytes):
        _write(target, place)
        return
    begin, end = place
    while begin < end:
        content = os.pread(descriptor, min(_COPY_BYTES, end - begin), begin)
        if not content:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        begin += len(content)
        _write(target, content)


def _write(target: int, content: bytes) -> None:
    while content:
        content = content[os.write(target, content) :]
