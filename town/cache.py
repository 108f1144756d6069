"""Cache: one SQLite file for what can be computed again from the ledger. It makes answers faster and is never needed.

It lies in `.tt` of a town with its own server, else in the user's cache folder. `tt` can remove it at any time, and so can
the user. If it cannot be used, whatever the reason, there is no cache, and no command fails because of that. Nothing in
the file is trusted: a reader checks what it gets, because the file may be damaged or come from another town.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from ledger import LedgerError
from town.errors import NotOursError
from town.files.plain_file import open_plain, refuse_other_than_ours
from town.folder.data_folder import DataFolder

CACHE_FILE: Final = "cache.sqlite"
"""In the data folder. SQLite adds two files beside it while it is in use."""
CACHE_LOCK_SUFFIX: Final = ".lock"
"""A file beside it. Who uses the cache shares its lock, and who removes the cache has it alone: SQLite must not have a file open
that is removed, or two processes would write into different ones."""
CACHE_SUFFIXES: Final = ("-wal", "-shm", "-journal")
CACHE_VERSION: Final = 1
"""Raise it if any table changes. A file of another version is removed and made again."""
CACHE_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
CACHE_FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""With less room than this on the disk nothing is written: the room belongs to the ledger."""
CACHE_WAIT_SECONDS_MAX: Final = 0.25
"""How long a command waits for another process that writes into the cache, before it goes on without."""
_ATTEMPTS: Final = 2
_PAGE_BYTES: Final = 4_096
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRAGMAS: Final = (
    # A file from elsewhere is data: its schema must not call functions.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    # Readers and one writer do not wait for each other. After a crash the file is as after an earlier commit.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 0",
    f"PRAGMA max_page_count = {CACHE_BYTES_MAX // _PAGE_BYTES}",
)
_DAMAGE_CODES: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT}
)
"""The file is no database, is damaged, or has other tables than it should. Other errors pass: a lock, a full disk."""

Answer = TypeVar("Answer")


class Cache:
    """The cache of one town. `problem` says in words why it could not be used last time; None if it could."""

    def __init__(self, place: CachePlace) -> None:
        self._place = place
        self.problem: str | None = None

    @property
    def path(self) -> Path:
        """Where the file lies, or would lie."""
        return self._place.path

    def read(self, work: Callable[[sqlite3.Connection], Answer], *, tables: Sequence[str]) -> Answer | None:
        """What `work` reads, in one transaction; None if there is no cache.

        `tables` are CREATE … IF NOT EXISTS statements. `work` may run twice.
        """
        return self._use(work, tables, begin="BEGIN")

    def write(self, work: Callable[[sqlite3.Connection], Answer], *, tables: Sequence[str]) -> Answer | None:
        """As `read`, for `work` that also writes. It is committed as a whole or not at all; None if it was not."""
        return self._use(work, tables, begin="BEGIN IMMEDIATE")

    def look(self) -> int | None:
        """How many bytes the file has; None if there is none. NotOursError, OSError if it is not used."""
        if not os.path.lexists(self.path):
            return None
        with self._place.opened() as folder:
            return self._refuse_other_than_plain(self.path.name, folder).st_size

    def remove(self) -> bool:
        """Remove the file and what SQLite has beside it, if there are any; False if another process uses it. OSError, NotOursError."""
        if not os.path.lexists(self.path):
            return True
        with self._place.opened() as folder, self._locked(folder, fcntl.LOCK_EX) as is_locked:
            if is_locked:
                # The file itself goes last: without the others it is an earlier state of itself, but not the other way round.
                for name in (*_names_beside(self.path.name), self.path.name):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
            return is_locked

    def forget(self) -> None:
        """Remove the file if that can be done."""
        with suppress(LedgerError, OSError):
            self.remove()

    def _use(self, work: Callable[[sqlite3.Connection], Answer], tables: Sequence[str], *, begin: str) -> Answer | None:
        if not is_cache_wanted():
            self.problem = "TT_CACHE turns it off"
            return None
        for _ in range(_ATTEMPTS):
            try:
                with self._prepared(is_writing=begin != "BEGIN"), closing(self._connect()) as database:
                    answer = _run(database, work, tables, begin)
            except (_OtherVersionError, UnicodeDecodeError) as error:
                # SQLite quotes a damaged schema in its message, and that need not be UTF-8.
                self.problem = str(error)
            except sqlite3.Error as error:
                self.problem = str(error)
                # The low byte is the kind of the error, the others say more about it.
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE_CODES:
                    return None
            except (_NotNowError, LedgerError, OSError) as error:
                self.problem = str(error)
                return None
            else:
                self.problem = None
                return answer
            self.forget()
        return None

    @contextmanager
    def _prepared(self, *, is_writing: bool) -> Iterator[None]:
        """Make the file if there is none, and keep it from being removed. LedgerError, OSError, _NotNowError."""
        name = self.path.name
        with self._place.opened() as folder, self._locked(folder, fcntl.LOCK_SH) as is_locked:
            if not is_locked:
                raise _NotNowError("another process removes it")
            room = os.fstatvfs(folder)
            if is_writing and room.f_bavail * room.f_frsize < CACHE_FREE_BYTES_MIN:
                raise _NotNowError(f"less than {CACHE_FREE_BYTES_MIN:,} bytes are free on the disk")
            for beside in _names_beside(name):
                with suppress(FileNotFoundError):
                    self._refuse_other_than_plain(beside, folder)
            try:
                self._refuse_other_than_plain(name, folder)
            except FileNotFoundError:
                os.close(open_plain(name, os.O_RDWR | os.O_CREAT, path=self.path, folder=folder))
            yield

    def _refuse_other_than_plain(self, name: str, folder: int) -> os.stat_result:
        """Look at a file without opening it: closing any descriptor of a file gives up all of a process's locks on it."""
        path, status = self.path.with_name(name), os.stat(name, dir_fd=folder, follow_symlinks=False)
        refuse_other_than_ours(path, status)
        if not stat.S_ISREG(status.st_mode):
            raise NotOursError(path, "is not a file", "Move it away.")
        return status

    @contextmanager
    def _locked(self, folder: int, kind: int) -> Iterator[bool]:
        """Hold the lock, if it is free: yields whether it was."""
        name = self.path.name + CACHE_LOCK_SUFFIX
        file = open_plain(name, os.O_RDWR | os.O_CREAT, path=self.path.with_name(name), folder=folder)
        try:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(file)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(os.fsencode(self.path.absolute()))}?mode=rw",
            uri=True,
            timeout=CACHE_WAIT_SECONDS_MAX,
            isolation_level=None,
        )


class CachePlace:
    """The folder and the name of a town's cache.

    `.tt` of the town in `folder`. With `server`, which names the server elsewhere and the town on it, the user's cache folder:
    the `.tt` of such a town may have come with a clone.
    """

    def __init__(self, folder: Path, *, server: str | None = None) -> None:
        self._data = DataFolder(folder) if server is None else None
        if server is None:
            self.path = DataFolder(folder).path / CACHE_FILE
        else:
            import hashlib  # noqa: PLC0415 - it loads OpenSSL

            digest = hashlib.sha256(server.encode(errors="surrogateescape")).hexdigest()
            self.path = user_cache_folder() / f"{digest[:32]}.sqlite"

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor of the folder, which is this user's own. NotOursError, OSError."""
        if self._data is not None:
            with self._data.opened() as folder:
                yield folder
            return
        self.path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.path.parent.mkdir(mode=0o700)
        refuse_other_than_ours(self.path.parent, self.path.parent.lstat())
        descriptor = os.open(self.path.parent, _FOLDER_FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def is_cache_wanted() -> bool:
    """Whether TT_CACHE allows a cache; `0` turns it off."""
    return os.environ.get("TT_CACHE") != "0"


def user_cache_folder() -> Path:
    """`tinytown` in XDG_CACHE_HOME, else in `~/.cache`; a path that is not absolute is ignored, as the standard says."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        above = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        above = Path("/nonexistent")
    return (above if above.is_absolute() else Path("/nonexistent")) / "tinytown"


def _run(
    database: sqlite3.Connection,
    work: Callable[[sqlite3.Connection], Answer],
    tables: Sequence[str],
    begin: str,
) -> Answer:
    for pragma in _PRAGMAS:
        database.execute(pragma).close()
    [version] = database.execute("PRAGMA user_version").fetchone()
    if version != CACHE_VERSION:
        _begin_new(database, version)
    database.execute(begin)
    for table in tables:
        database.execute(table)
    answer = work(database)
    database.execute("COMMIT")
    return answer


def _begin_new(database: sqlite3.Connection, version: int) -> None:
    """Mark an empty file as ours. _OtherVersionError if it is not empty."""
    database.execute("BEGIN IMMEDIATE")
    [tables] = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    # Another process may have made it meanwhile.
    [now] = database.execute("PRAGMA user_version").fetchone()
    if now != CACHE_VERSION and (tables or now):
        raise _OtherVersionError(version)
    database.execute(f"PRAGMA user_version = {CACHE_VERSION}")
    database.execute("COMMIT")


def _names_beside(name: str) -> list[str]:
    return [name + suffix for suffix in CACHE_SUFFIXES]


class _OtherVersionError(Exception):
    """The file is of another version of the program."""

    def __init__(self, version: int) -> None:
        super().__init__(f"it has version {version}, and this program reads {CACHE_VERSION}")


class _NotNowError(Exception):
    """The cache cannot be used now."""
