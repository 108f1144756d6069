"""Finds the town that a command is for: upwards from a folder, as far as this user's own folders go.

The search ends at a folder of another user, and at one that everybody can write: whoever puts a `tinytown.toml` there
would choose what this user's commands do. A linked git worktree leads to the town of its repository's main checkout.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.errors import NotOursError, TownNotFoundError
from town.files.os_errors import refuse_os_errors
from town.files.plain_file import trusts_everything
from town.folder.repository import Repository, find_repository
from town.folder.settings import absolute, is_town
from town.home.grants import is_granted, own_town_grant

_FOREIGN: Final = "belongs to another user"
_OPEN: Final = "can be written by everybody"


class FoundFolder(Struct, frozen=True):
    """A town's folder, and why it is that one, if a linked worktree leaves a choice.

    `remark` has further words for the user. `is_shared` means that a worktree uses the town of its repository.
    """

    folder: Path
    reason: str | None = None
    remark: str | None = None
    is_shared: bool = False


def find_folder(start: Path) -> Path:
    """As `find`, but only the folder."""
    return find(start).folder


def find(start: Path) -> FoundFolder:
    """The town for `start`: in a linked git worktree that of the main checkout, else the nearest folder upwards.

    TownNotFoundError; NotOursError if `start` itself is not this user's own.
    """
    start = absolute(start)
    refuse_foreign(start)
    repository = find_repository(start)
    nearest = _nearest(start)
    is_own = repository is not None and repository.is_linked and _is_town_of_its_own(nearest.folder)
    if repository is not None and repository.is_linked and not is_own:
        shared = _shared(repository, start)
        if shared is not None and shared != nearest.folder:
            return _shared_folder(shared, repository)
    if nearest.folder is None:
        raise TownNotFoundError(start, end=nearest.end, reason=nearest.reason)
    reason = "a town of its own, by `tt init --here`" if is_own else None
    return FoundFolder(nearest.folder, reason, None if repository is None else repository.remark)


def place_of_new_town(start: Path) -> FoundFolder:
    """Where `tt init` in `start` makes or finds a town: for a linked worktree in the main checkout. NotOursError."""
    start = absolute(start)
    refuse_foreign(start)
    repository = find_repository(start)
    if repository is None or not repository.is_linked or _is_town_of_its_own(start):
        return FoundFolder(start)
    main = _shared(repository, start) or _same_place(repository, start)
    if main is None:
        return FoundFolder(start)
    refuse_foreign(main)
    return _shared_folder(main, repository)


def refuse_foreign(start: Path) -> None:
    """NotOursError if a named folder, or the first existing one above it, is not this user's own."""
    if trusts_everything():
        return
    with refuse_os_errors(start):
        existing = next(folder for folder in (start, *start.parents) if folder.exists())
        reason = _why_not_ours(existing)
    if reason is not None:
        advice = "Use a folder of your own; where nobody else is on this machine, as in CI, set TT_TRUST=1."
        raise NotOursError(existing, reason, advice)


class _Nearest(Struct, frozen=True):
    """The nearest town upwards. If the search ended before the top: the folder where it ended, and why."""

    folder: Path | None
    end: Path | None = None
    reason: str | None = None


def _nearest(start: Path) -> _Nearest:
    for folder in (start, *start.parents):
        with refuse_os_errors(folder):
            reason = None if folder == start else _why_not_ours(folder)
        if reason is not None:
            return _Nearest(None, folder, reason)
        if is_town(folder):
            return _Nearest(folder)
    return _Nearest(None)


def _shared(repository: Repository, start: Path) -> Path | None:
    """The town that a linked worktree shares: the nearest one upwards from the same place in the main checkout.

    A bare repository has no such place; then it is the nearest one upwards from the repository.
    """
    same_place = _same_place(repository, start)
    if same_place is not None:
        beginning = next(folder for folder in (same_place, *same_place.parents) if folder.is_dir())
    elif repository.main_root is None and repository.common_folder is not None:
        beginning = repository.common_folder.parent
    else:
        return None
    return None if _why_not_ours(beginning) else _nearest(beginning).folder


def _shared_folder(folder: Path, repository: Repository) -> FoundFolder:
    return FoundFolder(folder, f"{repository.root} is a worktree of its repository", is_shared=True)


def _same_place(repository: Repository, start: Path) -> Path | None:
    """The place of `start` in the main checkout.

    None without a checkout, or if a link there leads out of it to other towns.
    """
    if repository.main_root is None:
        return None
    main_root = repository.main_root.resolve()
    place = (main_root / start.relative_to(repository.root)).resolve()
    return place if place.is_relative_to(main_root) else None


def _is_town_of_its_own(folder: Path | None) -> bool:
    """Whether `tt init --here` made the folder of a worktree a town of its own."""
    return folder is not None and is_granted(own_town_grant(folder))


def _why_not_ours(folder: Path) -> str | None:
    """Why a `tinytown.toml` in the folder may be somebody else's; None if it is this user's.

    A missing folder belongs to nobody.
    """
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if status.st_uid != os.geteuid():
        return _FOREIGN
    return _OPEN if status.st_mode & stat.S_IWOTH else None
