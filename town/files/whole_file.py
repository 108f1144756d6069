"""Files written whole: after a crash or an error there is the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

OWN_MODE: Final = 0o600
SHARED_MODE: Final = 0o666
"""Others read a plan, also through git. So it has the permissions of the user's umask."""
_TEMPORARY_SUFFIX: Final = ".new"


def write_by_rename(path: Path, content: bytes, *, like: os.stat_result | None = None, mode: int = SHARED_MODE) -> None:
    """Write a file with the permissions and, if possible, the owner of `like`.

    A crash leaves the old file or the new one. Without `like` it gets `mode`, less the umask.
    """
    with _written_beside(path, content, like, mode) as written:
        written.replace(path)


@contextlib.contextmanager
def open_whole(path: Path, *, like: os.stat_result | None = None) -> Iterator[BinaryIO]:
    """A file to write piece by piece; it gets its name at the end. An error leaves nothing.

    Permissions and owner are those of `like`; without it, SHARED_MODE less the umask. A link of that name is replaced, and
    its target stays as it is.
    """
    with _opened_beside(path, like, SHARED_MODE) as (file, temporary):
        yield file
        _keep(file)
        temporary.replace(path)


def make_by_link(path: Path, content: bytes, *, mode: int = SHARED_MODE) -> None:
    """Write a new file. A crash or an error leaves the whole file or none. FileExistsError."""
    with _written_beside(path, content, None, mode) as written:
        try:
            path.hardlink_to(written)
        except FileExistsError:
            raise
        except OSError:
            # A disk without hard links. The process that makes the empty file owns the name; a later failure removes
            # the file.
            path.touch(exist_ok=False)
            try:
                written.replace(path)
            except OSError:
                path.unlink()
                raise


@contextlib.contextmanager
def _written_beside(path: Path, content: bytes, like: os.stat_result | None, mode: int) -> Iterator[Path]:
    """A new file with the content, on disk, next to its final place; removed from there afterwards."""
    with _opened_beside(path, like, mode) as (file, temporary):
        file.write(content)
        _keep(file)
        file.close()
        yield temporary


@contextlib.contextmanager
def _opened_beside(path: Path, like: os.stat_result | None, mode: int) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file to be written, next to its final place; removed from there afterwards.

    Its name cannot be guessed, so nobody can put a link there to redirect the write.
    """
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}{_TEMPORARY_SUFFIX}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            if like is not None:
                # Only root may give files away. For others the owner stays as the system allows.
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            yield file, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _keep(file: BinaryIO) -> None:
    """Have the disk keep what was written."""
    file.flush()
    os.fsync(file.fileno())
