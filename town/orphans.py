"""Orphans: embedded servers that still run though nobody can reach them, because their folder or their socket is gone.

They are found where the system shows its processes as files, as Linux does; elsewhere nobody can tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.folder import SOCKET_FILE

_PROCESSES: Final = Path("/proc")
_SOCKET_ARGUMENT: Final = f"../{SOCKET_FILE}".encode()
_GONE: Final = " (deleted)"


class Orphan(Struct, frozen=True):
    """A server's process, the data folder it began in, and whether that is gone; if it is not, its socket is."""

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
    """Whether this system tells."""
    return (_PROCESSES / "self" / "cwd").exists()


def find_orphans() -> Iterator[Orphan]:
    """Embedded servers of this user whose data folder or socket is gone; none where `can_find_orphans` is false."""
    for entry in _PROCESSES.glob("[0-9]*"):
        try:
            if entry.stat().st_uid != os.getuid() or _SOCKET_ARGUMENT not in (entry / "cmdline").read_bytes():
                continue
            data = str((entry / "cwd").readlink())
        except OSError:
            # It ended meanwhile.
            continue
        is_folder_gone = data.endswith(_GONE)
        if is_folder_gone or not (Path(data).parent / SOCKET_FILE).exists():
            yield Orphan(int(entry.name), data.removesuffix(_GONE), is_folder_gone)


def orphan_of(data: Path) -> Orphan | None:
    """The orphan that began in the data folder `data`, which is still there."""
    wanted = str(data.resolve())
    return next((each for each in find_orphans() if each.data == wanted and not each.is_folder_gone), None)
