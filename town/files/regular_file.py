"""Files that a person names: opened without waiting for a pipe or waking a device."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open the regular file at `path` for reading, also through links. OSError if it is a folder, a pipe or a device."""
    # Check before opening, because opening some devices has an effect.
    refuse_other_than_regular(path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # Check again: something else may have taken its name meanwhile.
        refuse_other_than_regular(os.fstat(descriptor))
        return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path, and the caller closes it
    except BaseException:
        os.close(descriptor)
        raise


def refuse_other_than_regular(status: os.stat_result) -> None:
    """OSError if it is a folder, a pipe or a device."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "It is not a regular file")
