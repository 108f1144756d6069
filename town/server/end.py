"""How a town's own server ended: by a stop, for lack of disk space or memory, or without a message.

Found in the last lines of its log and the room on its file system. This room asks nothing of a running server.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from ledger import CommandRejectedError
from town.errors import DiskFullError, ServerEndedError, ServerStoppedError
from town.folder.data_folder import DataFolder
from town.server.log import NOTE, Life, read_lives

FULL_DISK_BYTES_MAX: Final = 64 * 1024
"""A disk with less room than this counts as full. If the log reports a full disk, it was full at that time."""
ENDING_SECONDS_MAX: Final = 0.5
"""How long a server that lost its clients without a message may take to release its lock."""
_POLL_SECONDS: Final = 0.005
_TOLD: Final = "told to stop by "
_NOTE_OF_STOP: Final = f"{NOTE}{_TOLD}"
_DISK_WAS_FULL: Final = "because its disk was full, or a quota or a limit on the size of files was reached"
_NO_WORD: Final = "ended without a message, as a killed server does: by hand, or by a system that is out of memory"


class EndCause(StrEnum):
    """Why a server ended."""

    TOLD = "told"
    SIGNAL = "signal"
    DISK_FULL = "disk full"
    DISK_FAILED = "disk failed"
    OUT_OF_MEMORY = "out of memory"
    UNKNOWN = "unknown"


# Compiled only after a server has ended: most commands never meet that.
_SIGNAL: Final = r"Received (SIG\w+) scheduling shutdown"
_CAUSES: Final = (
    (r"User requested shutdown", EndCause.TOLD),
    (_SIGNAL, EndCause.SIGNAL),
    (r"No space left on device|[Qq]uota exceeded|Short write while writing to the AOF", EndCause.DISK_FULL),
    (
        r"(?:Error writing to the AOF file|Can't persist AOF for fsync error.*'always'): (.+?)(?:\. Exiting.*)?$",
        EndCause.DISK_FAILED,
    ),
    (r"(?i)out of memory\b.*\ballocating", EndCause.OUT_OF_MEMORY),
)
"""Valkey and Redis use the same words."""


LAST_LINES: Final = 2
"""If a full disk is why a server ends, its last lines say so."""
_OF_DISK: Final = frozenset({EndCause.DISK_FULL, EndCause.DISK_FAILED})


class ServerEnd(Struct, frozen=True):
    """How and when a server ended, by its log. `words` is who stopped it, its signal, or the error of its disk."""

    cause: EndCause
    at: str
    words: str | None


class Room(Struct, frozen=True):
    """The room on the file system of a folder."""

    folder: Path
    free_bytes: int
    size_bytes: int

    @property
    def is_full(self) -> bool:
        return self.free_bytes < FULL_DISK_BYTES_MAX

    def __str__(self) -> str:
        return f"{_size(self.free_bytes)} of {_size(self.size_bytes)} are free at {self.folder}"


def room_at(folder: Path) -> Room:
    """How much this user can still write in the folder. OSError. Source: statvfs."""
    system = os.statvfs(folder)
    free = system.f_bfree if os.geteuid() == 0 else system.f_bavail
    return Room(folder, free * system.f_frsize, system.f_blocks * system.f_frsize)


def end_of(life: Life) -> ServerEnd:
    """How the server that wrote these lines ended. A running one is UNKNOWN too. The last cause counts."""
    for age, (at, words) in enumerate(reversed(life.lines)):
        if words.startswith(_NOTE_OF_STOP):
            return ServerEnd(EndCause.TOLD, at, words.removeprefix(_NOTE_OF_STOP))
        cause, said = _cause_in(words)
        if cause is EndCause.TOLD:
            return _told(life, at)
        if cause in _OF_DISK and age >= LAST_LINES:
            # It went on after that error, and ended for another reason.
            continue
        if cause is not None:
            return ServerEnd(cause, at, said)
    return ServerEnd(EndCause.UNKNOWN, life.lines[-1][0] if life.lines else "", None)


def last_end(data: DataFolder, *, is_running: bool) -> ServerEnd | None:
    """How the last ended server ended; None if the log has no ended server."""
    lives = read_lives(data)
    gone = lives[:-1] if is_running else lives
    return end_of(gone[-1]) if gone else None


def words_of_stop(actor: str | None) -> str:
    """The note that goes into the log before a server is told to stop."""
    return f"{_TOLD}{actor or 'somebody'}"


class EndReport:
    """Finds out why the server of the town with this data can no longer be reached."""

    def __init__(self, data: DataFolder, *, where: str, is_running: Callable[[], bool]) -> None:
        self._data = data
        self._where = where
        self._is_running = is_running

    def error(self, process: int | None) -> ServerEndedError | None:
        """The error that says how the server with the process id `process`, or with None the last one, ended.

        None if none ended, or if the data folder cannot be read safely any more.
        """
        try:
            return self._find(process)
        except CommandRejectedError:
            return None

    def error_of_start(self, process: int) -> ServerEndedError | None:
        """The same for one that ended during its start; None if only its own log can explain it."""
        lives = [each for each in read_lives(self._data) if each.process == process]
        end = end_of(lives[-1]) if lives else None
        if end is None or end.cause is EndCause.UNKNOWN:
            return self._full_disk()
        return self._error(end)

    def is_disk_full(self) -> bool:
        """Whether the disk of the data is full now. False if that cannot be found out."""
        with suppress(OSError):
            return room_at(self._data.path).is_full
        return False

    def _find(self, process: int | None) -> ServerEndedError | None:
        lives = read_lives(self._data)
        if not lives:
            return self._full_disk()
        # In another container a process may have another number.
        life = next((each for each in reversed(lives) if process == each.process), lives[-1])
        end = end_of(life)
        if end.cause is EndCause.UNKNOWN and not self._is_over(life is lives[-1]):
            return None
        return self._error(end)

    def _is_over(self, is_last: bool) -> bool:
        """Whether the server is gone: another one came after it, or no process holds the lock."""
        deadline = time.monotonic() + ENDING_SECONDS_MAX
        while is_last and self._is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _error(self, end: ServerEnd) -> ServerEndedError:
        where, ended = self._where, f"ended at {end.at}"
        match end.cause:
            case EndCause.TOLD:
                how = "(SHUTDOWN)" if end.words is None else f"by {end.words} (`tt stop`)"
                return ServerStoppedError(where, f"was told to stop at {end.at} {how}")
            case EndCause.SIGNAL:
                return ServerStoppedError(where, f"{ended} by the signal {end.words}")
            case EndCause.DISK_FULL:
                return self._full_disk(ended) or DiskFullError(
                    where, f"{ended}, {_DISK_WAS_FULL}", self._advice_to_free()
                )
            case EndCause.DISK_FAILED:
                problem = f"{ended}, because it could not write to its disk: {end.words}"
                return ServerEndedError(where, problem, f"Look after the disk of {self._data.path}.")
            case EndCause.OUT_OF_MEMORY:
                problem = f"{ended}, because the machine is out of memory"
                return ServerEndedError(where, problem, "End what needs memory.")
            case EndCause.UNKNOWN:
                return self._full_disk() or ServerEndedError(where, _NO_WORD)

    def _full_disk(self, ended: str = "ended") -> DiskFullError | None:
        """The error for a disk that is full now; None if it is not.

        It has no figures, so that repeated messages are equal.
        """
        if not self.is_disk_full():
            return None
        return DiskFullError(self._where, f"{ended}, because its disk is full", self._advice_to_free())

    def _advice_to_free(self) -> str:
        return f"Free space on the disk of {self._data.path}."


def _cause_in(words: str) -> tuple[EndCause | None, str | None]:
    """The cause that a server's log line reports, and its details; (None, None) if it reports none."""
    for pattern, cause in _CAUSES:
        found = re.search(pattern, words)
        if found is not None:
            return cause, found[1] if found.re.groups else None
    return None, None


def _told(life: Life, at: str) -> ServerEnd:
    """A server logs the same for a client's SHUTDOWN and for a signal. The lines before it show which one it was."""
    for _, words in reversed(life.lines):
        if words.startswith(_NOTE_OF_STOP):
            return ServerEnd(EndCause.TOLD, at, words.removeprefix(_NOTE_OF_STOP))
        signal = re.search(_SIGNAL, words)
        if signal is not None:
            return ServerEnd(EndCause.SIGNAL, at, signal[1])
    return ServerEnd(EndCause.TOLD, at, None)


def _size(count: int) -> str:
    """`16 KiB`, `1.5 GiB`."""
    size, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:,.0f} {unit}" if unit == "KiB" else f"{size:,.1f} {unit}"
