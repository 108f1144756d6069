"""Grants: the connections and the data that this user has allowed for a folder on this machine (decision 0019).

Each grant is a small file in `~/.tt/trusted`, named by a hash of what was allowed: the folder's place and what it leads
to. If either changes, the hash differs, and `tt` asks the user again. A check is one look at the file system.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from town.errors import FolderRefusedError
from town.files.plain_file import trusts_everything
from town.home.place import HOME_ADVICE, home_path, make_home_folder

TRUSTED_FOLDER: Final = "trusted"


class Grant(Struct, frozen=True, kw_only=True):
    """One thing that a folder may lead to.

    `kind` is connection, source, data or own_town; `what` is the full description.
    """

    kind: str
    folder: str
    what: str

    @property
    def path(self) -> Path:
        """The file whose existence is the grant."""
        # hashlib loads OpenSSL, and most commands need no grant.
        import hashlib  # noqa: PLC0415

        facts = f"{self.kind}\0{self.folder}\0{self.what}".encode(errors="surrogateescape")
        return home_path(TRUSTED_FOLDER) / hashlib.sha256(facts).hexdigest()


class _Record(Struct, frozen=True):
    """The content of a grant's file, for people and for `revoke_trust`. Only the file's name counts."""

    kind: str
    folder: str
    allowed_at: str


def connection_grant(folder: Path, url: str) -> Grant:
    """The town in `folder` may connect to `url`."""
    return Grant(kind="connection", folder=_text(folder), what=url)


def data_grant(token: str, *, inode: int, changed_ns: int) -> Grant:
    """A data folder may be loaded, wherever it lies: nobody else knows its token, and a copy has another inode or time."""
    return Grant(kind="data", folder="", what=f"{token} {inode} {changed_ns}")


def source_grant(folder: Path, url: str) -> Grant:
    """Old tasks of the town in `folder` may be read from `url`, which Tinytown's settings name."""
    return Grant(kind="source", folder=_text(folder), what=url)


def own_town_grant(folder: Path) -> Grant:
    """A linked worktree's folder is a town of its own."""
    return Grant(kind="own_town", folder=_text(folder), what="")


def is_granted(grant: Grant) -> bool:
    """Whether this user has allowed it."""
    return os.path.lexists(grant.path)


def allow(grant: Grant, folder: Path) -> None:
    """Allow it from now on, for the town in `folder`. FolderRefusedError if `~/.tt` cannot be written.

    With TT_TRUST no grant is needed, so a read-only home does not matter.
    """
    path = grant.path
    record = _Record(grant.kind, _text(folder), datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        make_home_folder(path)
        _write(path, msgspec.json.encode(record) + b"\n")
    except OSError as error:
        if not trusts_everything():
            raise FolderRefusedError(path, error, advice=HOME_ADVICE) from error


def revoke_trust(folder: Path) -> int:
    """Remove all grants for the town in `folder`; returns how many there were. FolderRefusedError."""
    trusted = home_path(TRUSTED_FOLDER)
    wanted, revoked = _text(folder), 0
    try:
        for path in trusted.iterdir() if trusted.is_dir() else ():
            try:
                record = msgspec.json.decode(path.read_bytes(), type=_Record)
            except msgspec.MsgspecError:
                continue
            if record.folder == wanted:
                path.unlink(missing_ok=True)
                revoked += 1
        with suppress(OSError):
            # A demonstration should leave nothing. A folder with content stays.
            trusted.rmdir()
            trusted.parent.rmdir()
    except OSError as error:
        raise FolderRefusedError(trusted, error) from error
    return revoked


def _write(path: Path, content: bytes) -> None:
    """Write a grant's file. An error leaves no new file, because its existence alone grants. OSError."""
    existed = os.path.lexists(path)
    file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(file, content)
    except OSError:
        if not existed:
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _text(folder: Path) -> str:
    """A folder's path as JSON can hold it: a name that is not UTF-8 keeps its bytes as escapes."""
    return os.fsencode(folder).decode(errors="backslashreplace")
