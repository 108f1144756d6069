"""Pen: writes receipts, each record with one write at the end of the newest file, and begins a new file in time.

Nothing is synced: a power cut may take the last receipts, and then a loss of just these events is not noticed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ledger import LedgerError, Position, order_of
from town.files.plain_file import open_plain
from town.home.place import make_home_folder
from town.receipts.kept import SUFFIX, files_in
from town.receipts.record import settled_line, told_lines

if TYPE_CHECKING:
    from town.receipts.kept import KeptReceipts

RECEIPTS_FILE_BYTES_MAX: Final = 8 * 1024 * 1024
RECEIPTS_BYTES_MAX: Final = 64 * 1024 * 1024
RECEIPTS_FILE_DAYS_MAX: Final = 5
RECEIPTS_DAYS_MAX: Final = 30
_DAY_MS: Final = 24 * 60 * 60 * 1_000
_FILES_MIN: Final = 2


class Pen:
    """Writes the receipts of one town."""

    def __init__(self, receipts: KeptReceipts) -> None:
        self._receipts = receipts
        self._file = -1
        self._until_ns = 0
        self._is_writable = True

    def keep(self, first: Position, payloads: Sequence[bytes]) -> None:
        """Write down an append. If that fails, `problem` says why, and the next one is tried all the same."""
        if not self._is_writable:
            return
        try:
            for line in told_lines(first, payloads):
                self._write(line)
        except (LedgerError, OSError) as error:
            self._receipts.problem = str(error)
            # A folder that could not be opened once is not tried with every append.
            self._is_writable = self._file >= 0

    def settle(self, known: str, places: Sequence[tuple[str, int]]) -> None:
        """Write down that nothing more is to be said of events. LedgerError, OSError."""
        self._write(settled_line(known, places))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, line: bytes) -> None:
        if not self._may_go_on():
            self._open()
        _write_all(self._file, line)

    def _may_go_on(self) -> bool:
        """Whether the open file is still there, and neither full nor old: else another process may have begun a newer one.

        What is told to an older one is not missed until all receipts are read.
        """
        if self._file < 0:
            return False
        status = os.fstat(self._file)
        return time.time_ns() < self._until_ns and status.st_nlink > 0 and status.st_size < RECEIPTS_FILE_BYTES_MAX

    def _open(self) -> None:
        self.close()
        self._open_newest()
        if not self._may_go_on():
            make_home_folder(self._receipts.path)
            self._receipts.path.mkdir(mode=0o700, exist_ok=True)
            with self._alone():
                # Another process may have begun one meanwhile.
                self._open_newest()
                if not self._may_go_on():
                    self._begin()
                    self._open_newest()

    def _open_newest(self) -> None:
        names = files_in(self._receipts.path)
        if not names:
            return
        path = self._receipts.path / names[-1]
        opened = open_plain(path, os.O_WRONLY | os.O_APPEND, path=path)
        self.close()
        self._file = opened
        self._until_ns = (int(names[-1].removesuffix(SUFFIX)) + RECEIPTS_FILE_DAYS_MAX * _DAY_MS) * 1_000_000

    def _begin(self) -> None:
        """Begin a new file, which says first what was the last position told, and remove those that are too old or too many."""
        path, names = self._receipts.path, files_in(self._receipts.path)
        now_ms = time.time_ns() // 1_000_000
        after = int(names[-1].removesuffix(SUFFIX)) + 1 if names else 0
        new = path / f"{max(now_ms, after):013d}{SUFFIX}"
        # Another process may have been told of later events, and have written so to the file before.
        known = max("", self._receipts.known, *(self._receipts.read_told()[:1] if names else ()), key=_order)
        temporary = new.with_suffix(".new")
        file = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, settled_line(known) if known else b"")
        finally:
            os.close(file)
        temporary.rename(new)
        self._remove_old([*names, new.name], now_ms)

    def _remove_old(self, names: list[str], now_ms: int) -> None:
        sizes = {name: (self._receipts.path / name).stat().st_size for name in names}
        while len(names) > _FILES_MIN:
            # All in a file is older than the file after it.
            is_old = int(names[1].removesuffix(SUFFIX)) < now_ms - RECEIPTS_DAYS_MAX * _DAY_MS
            if not is_old and sum(sizes[name] for name in names) <= RECEIPTS_BYTES_MAX - RECEIPTS_FILE_BYTES_MAX:
                return
            with suppress(FileNotFoundError):
                (self._receipts.path / names[0]).unlink()
            del names[0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of the folder. OSError."""
        folder = os.open(self._receipts.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _write_all(file: int, line: bytes) -> None:
    """Write it with one write, so that records of several processes do not mix. OSError, also if only a part fits on the disk."""
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _order(known: str) -> tuple[int, int]:
    return order_of(known) if known else (0, 0)
