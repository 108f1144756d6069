"""Permission: whether a town's folder may make `tt` connect somewhere or load data.

A town that `tt init` of an older program made is this user's own without a question: it is in the user's list of towns,
and its connection and data are allowed at first use (decision 0019).
"""

from __future__ import annotations

from pathlib import Path

from ledger import LedgerError
from town.errors import NotTrustedError, ProgramRefusedError
from town.files.plain_file import trusts_everything
from town.folder.data_folder import DataFolder
from town.folder.settings import Settings, setting_place
from town.home.grants import allow, connection_grant, is_granted
from town.home.passwords import shown_url
from town.home.registry import RegisteredTown, register_town, registered_towns


def require_connection(folder: Path, settings: Settings) -> str | None:
    """Return only if the town's settings are allowed.

    The result is what to tell the user if they were allowed just now. ProgramRefusedError if they name a program;
    NotTrustedError if their URL is not allowed.
    """
    refuse_program(folder, settings)
    url = settings.redis.url
    if url is None or trusts_everything():
        return None
    grant = connection_grant(folder, url)
    if is_granted(grant):
        return None
    if not _is_from_older_program(folder):
        problem = f"the town is at {shown_url(url)}, and nobody here has allowed that connection"
        raise NotTrustedError(setting_place(folder, "url"), problem, folder=folder)
    _note_adoption(folder)
    allow(grant, folder)
    return f"This town is of before `tt trust`, so its URL, {shown_url(url)}, is allowed from now on. If it changes, you are asked."


def may_connect(folder: Path, settings: Settings) -> bool:
    """Whether the town's settings are allowed already. Unlike `require_connection`, this allows nothing."""
    refuse_program(folder, settings)
    url = settings.redis.url
    return url is None or trusts_everything() or is_granted(connection_grant(folder, url))


def refuse_program(folder: Path, settings: Settings) -> None:
    """ProgramRefusedError if the town's file names a program to run. That cannot be allowed."""
    if settings.redis.binary is not None:
        raise ProgramRefusedError(setting_place(folder, "binary"))


def require_data(folder: Path) -> str | None:
    """Return only if the data in the folder's `.tt` may be loaded; makes `.tt` if there is none.

    Result as for `require_connection`. NotTrustedError if it was not made here; NotOursError if it holds a link,
    another user's file or a file that git tracks.
    """
    data = DataFolder(folder)
    data.make()
    try:
        data.require_trust()
    except NotTrustedError:
        if not (data.was_made_by_older_program() and _is_from_older_program(folder)):
            raise
        _note_adoption(folder)
        data.trust()
        return f"This town is of before `tt trust`, so its data in {data.path} is taken as made here from now on."
    return None


def _is_from_older_program(folder: Path) -> bool:
    """Whether an older program, which kept no grants, put the folder into the user's list of towns."""
    try:
        return any(each.path == str(folder) and not each.is_trust_kept for each in registered_towns())
    except LedgerError:
        # The list is damaged and cannot answer, so `tt trust` asks.
        return False


def _note_adoption(folder: Path) -> None:
    """Record that this happened, so that it happens once: later changes need permission.

    Record it before allowing, so that a crash cannot repeat it.
    """
    for each in registered_towns():
        if each.path == str(folder):
            register_town(RegisteredTown(each.name, each.path, is_trust_kept=True))
