"""`.tt`, the folder of a town's data: opened without following links, this user's alone, and made on this machine.

A clone, an unpacked archive and a restored backup bring a `.tt` too. The file `identity` marks a folder that was made
here: it holds a random token, and `town.home.grants` remembers the token with the file's inode and time, which no copy
has (decision 0019).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.errors import FolderRefusedError, NotOursError, NotTrustedError
from town.files.plain_file import open_plain, refuse_other_than_ours, trusts_everything
from town.folder.repository import Repository, find_repository, unbelieved_git_folder
from town.folder.settings import DATA_FOLDER
from town.home.grants import Grant, allow, data_grant, is_granted

IDENTITY_FILE: Final = "identity"
ENTRIES_MAX: Final = 100_000
_TOKEN_BYTES: Final = 16
_TOKEN_CHARS: Final = frozenset("0123456789abcdef")
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class DataSize(Struct, frozen=True):
    """The number of files in a data folder, and their size."""

    files: int
    bytes: int


class DataFolder:
    """The `.tt` of the town in `folder`.

    NotOursError if it, or anything opened in it, is not a plain file or folder of this user's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / DATA_FOLDER

    def exists(self) -> bool:
        """Whether anything is there, of whatever kind."""
        return os.path.lexists(self.path)

    def is_empty(self) -> bool:
        """Whether it is an empty folder."""
        with suppress(OSError), os.scandir(self.path) as entries:
            return self.path.is_dir() and not self.path.is_symlink() and next(entries, None) is None
        return False

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor of the folder. Its name may lead elsewhere by now."""
        descriptor = self._open()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def opened_folder(self, name: str) -> Iterator[int]:
        """Yield a descriptor of a folder in it; makes the folder if there is none. NotOursError, OSError."""
        with self.opened() as parent:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
            refuse_other_than_ours(self.path / name, os.stat(name, dir_fd=parent, follow_symlinks=False))
            descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open_file(self, name: str, flags: int) -> int:
        """A descriptor of a plain file of this user's in the folder; O_CREAT makes it, for this user alone.

        FileNotFoundError if the file or the folder is missing.
        """
        with self.opened() as folder:
            return open_plain(name, flags, path=self.path / name, folder=folder)

    def make(self) -> None:
        """Make the folder if there is none, marked as made here. FolderRefusedError: nothing was made.

        If several processes try at once, one of them makes it. It appears whole or not at all.
        """
        if self.exists() and not self.is_empty():
            return
        new = self.path.with_name(f"{DATA_FOLDER}.{os.urandom(8).hex()}.new")
        try:
            new.mkdir(mode=0o700)
            try:
                grant = self._allow_new(new)
                try:
                    new.rename(self.path)
                except OSError as error:
                    grant.path.unlink(missing_ok=True)
                    # If the folder is there already and not empty, another process made it meanwhile.
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                        raise
            finally:
                import shutil  # noqa: PLC0415 - a folder is made once

                shutil.rmtree(new, ignore_errors=True)
        except OSError as error:
            raise FolderRefusedError(self.path, error) from error

    def remove(self) -> None:
        """Remove the folder, which was just made and is still empty, and its grant. OSError, NotOursError."""
        grant = self._grant()
        import shutil  # noqa: PLC0415 - most commands remove nothing

        shutil.rmtree(self.path)
        if grant is not None:
            grant.path.unlink(missing_ok=True)

    def is_known(self) -> bool:
        """Whether this user made it on this machine, or allowed it."""
        grant = self._grant()
        return grant is not None and is_granted(grant)

    def require_trust(self) -> None:
        """Return only if its data may be loaded. NotTrustedError; NotOursError names the first thing that is not ours."""
        self.check()
        if not (trusts_everything() or self.is_known()):
            raise NotTrustedError(
                str(self.path),
                "this data was not made by `tt` on this machine: it came with a clone, a copy or a backup",
                folder=self._folder,
            )

    def trust(self) -> None:
        """Allow the data that is there now. NotOursError, FolderRefusedError."""
        self.check()
        with self.opened() as folder, suppress(FileNotFoundError):
            # Whoever brought the folder knows a token that came with it.
            os.unlink(IDENTITY_FILE, dir_fd=folder)
        try:
            self._allow_new(self.path)
        except OSError as error:
            raise FolderRefusedError(self.path, error) from error

    def check(self) -> DataSize:
        """Check everything in the folder before loading it: plain files and folders of this user's, not tracked by git."""
        self._refuse_tracked()
        files = size = 0
        for path, status in self._walk():
            if not stat.S_ISDIR(status.st_mode):
                files += 1
                size += status.st_size
            refuse_other_than_ours(path, status)
        return DataSize(files, size)

    def was_made_by_older_program(self) -> bool:
        """Whether it looks like a folder of an older program: no token, and private to this user from the start."""
        try:
            status = self.path.lstat()
        except OSError:
            return False
        return not (stat.S_IMODE(status.st_mode) & _OTHERS) and not os.path.lexists(self.path / IDENTITY_FILE)

    def _open(self) -> int:
        status = self.path.lstat()
        refuse_other_than_ours(self.path, status)
        if not stat.S_ISDIR(status.st_mode):
            raise NotOursError(self.path, "is not a folder", "Move it away, and `tt start` makes a new one.")
        descriptor = os.open(self.path, _FOLDER_FLAGS)
        if stat.S_IMODE(status.st_mode) & _OTHERS:
            os.fchmod(descriptor, 0o700)
        return descriptor

    def _grant(self) -> Grant | None:
        """The grant that this very folder needs; None if it has no token."""
        try:
            file = self.open_file(IDENTITY_FILE, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            token = os.read(file, _TOKEN_BYTES * 2 + 1).decode(errors="replace").strip()
            status = os.fstat(file)
        finally:
            os.close(file)
        if len(token) != _TOKEN_BYTES * 2 or not _TOKEN_CHARS.issuperset(token):
            return None
        return _data_grant(token, status)

    def _allow_new(self, place: Path) -> Grant:
        """Write a new token into the folder at `place`, and allow it. OSError, FolderRefusedError."""
        token = os.urandom(_TOKEN_BYTES).hex()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(place / IDENTITY_FILE, flags, 0o600)
        try:
            os.write(file, f"{token}\n".encode())
            os.fsync(file)
            status = os.fstat(file)
        finally:
            os.close(file)
        grant = _data_grant(token, status)
        allow(grant, self._folder)
        return grant

    def _walk(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Everything in the folder, itself first, with its own status, links not followed. NotOursError beyond ENTRIES_MAX."""
        waiting, seen = [self.path], 0
        while waiting:
            path = waiting.pop()
            try:
                status = path.lstat()
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    waiting.extend(path.iterdir())
            except FileNotFoundError:
                # Meanwhile a runner removes old logs, and a server its old files.
                continue
            except OSError as error:
                raise FolderRefusedError(path, error) from error
            seen += 1
            if seen > ENTRIES_MAX:
                raise NotOursError(self.path, f"holds more than {ENTRIES_MAX:,} files", "Is it a town's data folder?")

    def _refuse_tracked(self) -> None:
        from town.folder.git_index import tracked_below  # noqa: PLC0415 - needed before a server starts, and at no other time

        repository = find_repository(self._folder)
        if repository is not None and repository.git_folder is None:
            # Git may work there all the same; if it cannot, nothing is tracked.
            git_folder = unbelieved_git_folder(repository)
            repository = None if git_folder is None else Repository(repository.root, git_folder)
        if repository is None:
            return
        tracked = tracked_below(repository, self.path)
        if tracked.names:
            problem = "is tracked by git, so everybody who can write to that repository could write its data"
            import shlex  # noqa: PLC0415 - only for a refusal

            advice = f"Tell git to leave it alone, which deletes no file here: `git -C {shlex.quote(str(self._folder))} rm -r --cached {DATA_FOLDER}`."
        elif tracked.remark is not None:
            problem = f"may be tracked by git; that could not be found out ({tracked.remark})"
            advice = "Put the repository right, or use a folder outside of it."
        else:
            return
        raise NotOursError(self.path, problem, advice)


def _data_grant(token: str, status: os.stat_result) -> Grant:
    """A file system reuses inode numbers, so the time of the token file's last change counts too."""
    return data_grant(token, inode=status.st_ino, changed_ns=status.st_ctime_ns)
