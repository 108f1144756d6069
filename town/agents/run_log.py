"""RunLog: a run's output in a file of bounded size. If there is too much, it keeps the beginning and the end.

A log is for looking things up. If it cannot be written, the run goes on without it, and `problem` says why.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from ledger import CommandRejectedError
from town.agents.output_tail import Tail
from town.errors import FolderRefusedError, words_of_system
from town.files.plain_file import open_plain
from town.folder.data_folder import DataFolder

LOG_BYTES_MAX: Final = 10 * 1024 * 1024
LOG_END_BYTES_MAX: Final = 64 * 1024
LOGS_KEPT_MAX: Final = 1_000
OUTPUT_BYTES_MAX: Final = 16 * 1024
"""Of the end of a log."""
LOGS_FOLDER: Final = "logs"
_SUFFIX: Final = ".log"


class RunLog:
    """The log at `.tt/logs/<task>-<run>.log` of the town in `folder`.

    Of what comes after LOG_BYTES_MAX it keeps only the end.
    """

    def __init__(self, folder: Path, *, task_id: str, run: str) -> None:
        self._data = DataFolder(folder)
        self._name = f"{task_id}-{run}{_SUFFIX}"
        self.path = self._data.path / LOGS_FOLDER / self._name
        self.problem: str | None = None
        self._file: int | None = None
        self._bytes = 0
        self._end = Tail(bytes_max=LOG_END_BYTES_MAX)

    def __enter__(self) -> Self:
        try:
            self._data.make()
            with self._data.opened_folder(LOGS_FOLDER) as logs:
                _remove_oldest(logs, kept_max=LOGS_KEPT_MAX - 1)
                self._file = open_plain(self._name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, path=self.path, folder=logs)
        except (OSError, CommandRejectedError) as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end.kept()
        left_out = self._bytes - LOG_BYTES_MAX - len(end)
        if left_out > 0:
            self._put(f"\n[… {left_out:,} bytes are left out here …]\n".encode())
        self._put(end)
        self._close()

    def write(self, piece: bytes) -> None:
        """Add what the program printed."""
        room = max(LOG_BYTES_MAX - self._bytes, 0)
        self._bytes += len(piece)
        self._put(piece[:room])
        self._end.feed(piece[room:])

    def _put(self, piece: bytes) -> None:
        if self._file is None:
            return
        try:
            while piece:
                piece = piece[os.write(self._file, piece) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError | CommandRejectedError) -> None:
        self.problem = f"{self.path} cannot be written: {words_of_system(error)}"
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class RunOutput(Struct, frozen=True):
    """The end of what the last run of a task printed on this machine; `size` is that of the whole log, in bytes."""

    run: str
    size: int
    changed_ms: int
    text: str

    @property
    def is_whole(self) -> bool:
        return self.size <= OUTPUT_BYTES_MAX


def read_output(folder: Path, task_id: str) -> RunOutput | None:
    """The last OUTPUT_BYTES_MAX of the newest log of a task; None if this machine has none. FolderRefusedError, NotOursError."""
    data = DataFolder(folder)
    try:
        return _newest_output(data, task_id) if (data.path / LOGS_FOLDER).exists() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderRefusedError(data.path / LOGS_FOLDER, error) from error


def _newest_output(data: DataFolder, task_id: str) -> RunOutput | None:
    with data.opened_folder(LOGS_FOLDER) as logs:
        with os.scandir(logs) as entries:
            found = [entry for entry in entries if _is_log_of(entry.name, task_id)]
        if not found:
            return None
        name = max(found, key=_changed_at).name
        file = open_plain(name, os.O_RDONLY, path=data.path / LOGS_FOLDER / name, folder=logs)
    with os.fdopen(file, "rb") as log:
        status = os.fstat(log.fileno())
        log.seek(max(status.st_size - OUTPUT_BYTES_MAX, 0))
        text = log.read(OUTPUT_BYTES_MAX).decode(errors="replace")
    run = name.removesuffix(_SUFFIX).removeprefix(f"{task_id}-")
    return RunOutput(run, status.st_size, status.st_mtime_ns // 1_000_000, text)


def _is_log_of(name: str, task_id: str) -> bool:
    # One that cannot be written as text is none of a run.
    return name.startswith(f"{task_id}-") and name.endswith(_SUFFIX) and name.isprintable()


def _remove_oldest(logs: int, *, kept_max: int) -> None:
    """Remove logs from the open folder, oldest first, until `kept_max` are left.

    Another runner may do the same at once.
    """
    with os.scandir(logs) as entries:
        found = [entry for entry in entries if entry.name.endswith(_SUFFIX)]
    if len(found) > kept_max:
        for entry in sorted(found, key=_changed_at)[: len(found) - kept_max]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.name, dir_fd=logs)


def _changed_at(entry: os.DirEntry[str]) -> float:
    with contextlib.suppress(OSError):
        return entry.stat(follow_symlinks=False).st_mtime
    return 0.0
