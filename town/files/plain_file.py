"""Plain files and folders of this user's: looked at and opened without following a link and without waiting for a pipe."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from town.errors import FolderRefusedError, NotOursError

_LINK_ADVICE: Final = "A link may lead out of the town: put what it leads to in its place, if that is yours."
_OWNER_ADVICE: Final = "Use a town of your own, in a folder of your own."
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def trusts_everything() -> bool:
    """Whether TT_TRUST declares every folder here the user's own, as in CI."""
    return os.environ.get("TT_TRUST") == "1"


def refuse_other_than_ours(path: Path, status: os.stat_result) -> None:
    """NotOursError for links, pipes, devices, hard links, files of other users, and folders that others may write.

    `status` is that of the path itself, not of a link's target. TT_TRUST allows files of other users, and nothing else.
    """
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        raise NotOursError(path, "is a link", _LINK_ADVICE)
    if status.st_uid != os.geteuid() and not trusts_everything():
        raise NotOursError(path, "belongs to another user", _OWNER_ADVICE)
    if stat.S_ISDIR(mode):
        if mode & _OTHERS_WRITE:
            raise NotOursError(path, "can be written by other users", "Take that right away from them (chmod go-w).")
    elif stat.S_ISREG(mode):
        if status.st_nlink > 1:
            raise NotOursError(path, "has another name elsewhere (a hard link)", "Put a copy in its place.")
    elif not stat.S_ISSOCK(mode):
        # A socket is harmless here: `tinytown_places` checks Tinytown's socket again before it is opened.
        raise NotOursError(path, "is neither a file nor a folder", "Move it away.")


def open_plain(name: str | Path, flags: int, *, path: Path, folder: int | None = None, mode: int = 0o600) -> int:
    """A descriptor of this user's plain file `name` in the open `folder`; `path` names it in errors.

    O_CREAT makes it with `mode`, for this user alone. FileNotFoundError, NotOursError, FolderRefusedError.
    """
    try:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        with suppress(OSError):
            refuse_other_than_ours(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        raise FolderRefusedError(path, error) from error
    try:
        status = os.fstat(descriptor)
        refuse_other_than_ours(path, status)
        _refuse_other_than_file(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other_than_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotOursError(path, "is not a file", "Move it away.")
