"""A path to a town's socket that fits into a socket address, however deep the town lies.

An address holds 107 bytes of path on Linux and 103 on macOS. For a deeper town the path goes through an open descriptor
of its folder if the system shows those as files, and through a short link elsewhere.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from town.errors import NotOursError
from town.files.plain_file import refuse_other_than_ours
from town.folder.settings import SOCKET_FILE

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

ADDRESS_BYTES_MAX: Final = 103
_DESCRIPTORS: Final = Path("/proc/self/fd")


class SocketPath:
    """The path at `str(...)` reaches the folder's socket until `close`."""

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        self._link_folder: TemporaryDirectory[str] | None = None
        direct = folder / SOCKET_FILE
        if len(os.fsencode(direct)) <= ADDRESS_BYTES_MAX:
            self._path = direct
        elif _DESCRIPTORS.is_dir():
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._path = _DESCRIPTORS / str(self._descriptor) / SOCKET_FILE
        else:
            import tempfile  # noqa: PLC0415 - where a town lies deep, and the system has no /proc

            self._link_folder = tempfile.TemporaryDirectory(prefix="tt-")
            link = Path(self._link_folder.name) / "town"
            link.symlink_to(folder)
            self._path = link / SOCKET_FILE

    def __str__(self) -> str:
        return str(self._path)

    def close(self) -> None:
        """Release the descriptor or link. Afterwards the path leads nowhere."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._link_folder is not None:
            self._link_folder.cleanup()
            self._link_folder = None


def refuse_other_than_own_socket(path: Path) -> None:
    """NotOursError if there is a link, a file or another user's socket in the place of the town's.

    An empty place is fine.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        refuse_other_than_ours(path, status)
        if not stat.S_ISSOCK(status.st_mode):
            raise NotOursError(path, "is not a socket", "Move it away; the server makes its own.")
