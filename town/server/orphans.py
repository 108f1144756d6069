"""Orphans: embedded servers that still run though nobody can reach them, because their folder or their socket is gone.

They can only be found on systems that show processes as files, as Linux does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.folder.settings import LOCK_FILE, SOCKET_FILE

_PROCESSES: Final = Path("/proc")
_SOCKET_ARGUMENT: Final = f"../{SOCKET_FILE}".encode()
_GONE: Final = " (deleted)"


class Orphan(Struct, frozen=True):
    """A server's process, its data folder, and whether the folder is gone; otherwise its socket is gone."""

    process: int
    data: str
    is_folder_gone: bool

    @property
    def words(self) -> str:
        gone = self.data if self.is_folder_gone else f"the socket of {self.data}"
        return (
            f"process {self.process} serves a town that nobody can reach: {gone} is gone. `kill {self.process}` ends it"
        )


def can_find_orphans() -> bool:
    """Whether this system shows processes as files."""
    return (_PROCESSES / "self" / "cwd").exists()


def find_orphans() -> Iterator[Orphan]:
    """Embedded servers of this user whose data folder or socket is gone; empty if `can_find_orphans` is false."""
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            lock = _lock_of_server(process)
        except OSError:
            # The process ended meanwhile, or belongs to another user.
            continue
        if lock is None:
            continue
        is_folder_gone = lock.endswith(_GONE)
        data = Path(lock.removesuffix(_GONE)).parent
        if is_folder_gone or not (data.parent / SOCKET_FILE).exists():
            yield Orphan(int(process.name), str(data), is_folder_gone)


def _lock_of_server(process: Path) -> str | None:
    """The lock file that a process holds, if it is an embedded server: only those are started with a lock and a socket.

    The starter also holds the lock for a moment, and other processes may name the socket.
    """
    if process.stat().st_uid != os.getuid() or _SOCKET_ARGUMENT not in (process / "cmdline").read_bytes():
        return None
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(descriptor.readlink())
            if target.removesuffix(_GONE).endswith(f"/{LOCK_FILE}"):
                return target
    return None


def orphan_of(data: Path) -> Orphan | None:
    """The orphan whose data folder is `data`, which is still there."""
    wanted = str(data.resolve())
    return next((each for each in find_orphans() if each.data == wanted and not each.is_folder_gone), None)
