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
"""Of a log, which nobody cuts short, this much is read, at its end."""
NOTE: Final = "tt: "
"""How the notes of `tt` begin."""
_START: Final = "is starting oO0Oo"
_LINE: Final = r"(\d+):(?:\w (\d{1,2} \w{3} \d{4} [\d:]{8})\S* \S|signal-handler \(\d+\)) (.*)"
"""Process, time and words; what a server says inside a signal has another form, and no time that people read."""


class Life(Struct, frozen=True):
    """What the server that was process `process` wrote, oldest first: times as the log has them, and words."""

    process: int
    lines: Sequence[tuple[str, str]]


def read_lives(data: DataFolder) -> list[Life]:
    """The lives in the last part of the log, oldest first; none where there is no log that can be read."""
    try:
        lines = last_lines(data.open_file(LOG_FILE, os.O_RDONLY))
    except (OSError, FolderRefusedError, NotOursError):
        return []
    lives: list[tuple[int, list[tuple[str, str]]]] = []
    for process, at, words in (found.groups() for line in lines if (found := re.fullmatch(_LINE, line))):
        if _START in words or not lives:
            lives.append((int(process), []))
        # A server says a few words before it says that it starts; the one before it may not have ended by then.
        if int(process) == lives[-1][0]:
            lives[-1][1].append((at or "", words))
    return [Life(process, lines) for process, lines in lives]


def last_lines(log: int | Path, start: int = 0) -> list[str]:
    """The lines from byte `start` on, at most the last LOG_READ_BYTES_MAX of them; an open file is closed. OSError."""
    with open(log, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        size = os.fstat(file.fileno()).st_size
        file.seek(max(start, size - LOG_READ_BYTES_MAX))
        return file.read(LOG_READ_BYTES_MAX).decode(errors="replace").splitlines()


def note(data: DataFolder, process: int, words: str) -> None:
    """Add a line about the server that is process `process`. Where the disk takes nothing, it is left out."""
    at = time.strftime("%d %b %Y %H:%M:%S")
    with suppress(OSError, FolderRefusedError, NotOursError):
        log = data.open_file(LOG_FILE, os.O_APPEND | os.O_WRONLY)
        try:
            os.write(log, f"{process}:T {at} * {NOTE}{words}\n".encode())
        finally:
            os.close(log)
