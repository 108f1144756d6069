"""May a town's folder make `tt` connect somewhere, or load data? Allowed once, adopted once, or refused.

A town that `tt init` of an older program made is this user's own without a question: it stands in the user's list of
towns, and what it leads to is allowed at its first use (decision 0019).
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
    """Go on only where the town's settings may be followed: what to tell the user, where it was adopted just now.

    ProgramRefusedError where they name a program; NotTrustedError where nobody allowed their URL.
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


def refuse_program(folder: Path, settings: Settings) -> None:
    """ProgramRefusedError where the town's file names a program to run, which nobody can allow."""
    if settings.redis.binary is not None:
        raise ProgramRefusedError(setting_place(folder, "binary"))


def require_data(folder: Path) -> str | None:
    """Go on only where the data in the folder's `.tt` may be loaded; made where there is none. As `require_connection`.

    NotTrustedError where it was not made here; NotOursError where something in it is a link, another user's or git's.
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
    """Whether an older program, which remembered nothing else, put the folder into the user's list of towns."""
    try:
        return any(each.path == str(folder) and not each.is_trust_kept for each in registered_towns())
    except LedgerError:
        # The list is damaged: then nobody can tell, and `tt trust` asks.
        return False


def _note_adoption(folder: Path) -> None:
    """So that it happens once: what changes later is asked about. Before it is allowed, lest it be allowed again and again."""
    for each in registered_towns():
        if each.path == str(folder):
            register_town(RegisteredTown(each.name, each.path, is_trust_kept=True))
