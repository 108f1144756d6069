"""The server's log, `.tt/server.log`: its last part, cut into the lives of the servers that wrote it, one after another.

`tt` writes notes of its own between a server's lines: who told it to stop.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.errors import FolderRefusedError, NotOursError
from town.folder.data_folder import DataFolder

LOG_FILE: Final = "server.log"
LOG_READ_BYTES_MAX: Final = 64 * 1024
"""How much of a log's end to read. Nothing ever shortens a log."""
NOTE: Final = "tt: "
"""The prefix of the notes of `tt`."""
_START: Final = "is starting oO0Oo"
_LINE: Final = r"(\d+):(?:\w (\d{1,2} \w{3} \d{4} [\d:]{8})\S* \S|signal-handler \(\d+\)) (.*)"
"""Process, time and words. Lines from inside a signal handler have another form, without a readable time."""


class Life(Struct, frozen=True):
    """The lines of the server with the process id `process`, oldest first: times as in the log, and words."""

    process: int
    lines: Sequence[tuple[str, str]]


def read_lives(data: DataFolder) -> list[Life]:
    """The lives in the last part of the log, oldest first; empty without a readable log."""
    try:
        lines = last_lines(data.open_file(LOG_FILE, os.O_RDONLY))
    except (OSError, FolderRefusedError, NotOursError):
        return []
    lives: list[tuple[int, list[tuple[str, str]]]] = []
    for process, at, words in (found.groups() for line in lines if (found := re.fullmatch(_LINE, line))):
        if _START in words or not lives:
            lives.append((int(process), []))
        # A server logs a few lines before the one that says that it starts. The previous server may still be running then.
        if int(process) == lives[-1][0]:
            lives[-1][1].append((at or "", words))
    return [Life(process, lines) for process, lines in lives]


def last_lines(log: int | Path, start: int = 0) -> list[str]:
    """The lines from byte `start` on, at most the last LOG_READ_BYTES_MAX bytes. Closes an open file. OSError."""
    with open(log, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        size = os.fstat(file.fileno()).st_size
        file.seek(max(start, size - LOG_READ_BYTES_MAX))
        return file.read(LOG_READ_BYTES_MAX).decode(errors="replace").splitlines()


def note(data: DataFolder, process: int, words: str) -> None:
    """Add a line about the server with the process id `process`. Skipped if the disk is full."""
    at = time.strftime("%d %b %Y %H:%M:%S")
    with suppress(OSError, FolderRefusedError, NotOursError):
        log = data.open_file(LOG_FILE, os.O_APPEND | os.O_WRONLY)
        try:
            os.write(log, f"{process}:T {at} * {NOTE}{words}\n".encode())
        finally:
            os.close(log)
