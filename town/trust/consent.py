"""Consent: what `tt trust` shows and allows. It runs, connects to and loads nothing to find out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ledger import CommandRejectedError
from town.errors import NotOursError, SettingsError
from town.folder.data_folder import DataFolder, DataSize
from town.folder.search import find_folder, refuse_foreign
from town.folder.settings import SETTINGS_FILE, absolute, is_town, read_settings, setting_place, start_of_search
from town.folder.tinytown_places import OldPlace, find_old_places
from town.home.grants import allow, connection_grant, is_granted
from town.home.passwords import asked_url, shown_url, with_password
from town.trust.permission import refuse_program
from town.trust.url_rules import refuse_unfit_url

COMMANDS_SHOWN_MAX = 5


class TrustReport(Struct, frozen=True):
    """A folder, and what it would make `tt` do that is not allowed yet, in words; empty if there is nothing."""

    folder: Path
    name: str | None
    url: str | None
    sources: tuple[OldPlace, ...]
    is_data_asked: bool
    questions: tuple[str, ...]


def look_at_trust(path: Path | None) -> TrustReport:
    """What the town at `path`, or a folder with data that is not a town yet, needs permission for.

    TownNotFoundError; ProgramRefusedError, NotOursError: that cannot be allowed.
    """
    folder = _folder(path)
    name = url = None
    questions: list[str] = []
    sources: list[OldPlace] = []
    if is_town(folder):
        settings = read_settings(folder)
        name = settings.name
        refuse_program(folder, settings)
        if settings.redis.url is not None and not is_granted(connection_grant(folder, settings.redis.url)):
            url = settings.redis.url
            questions.append(f"{_look_at_url(folder, url)}  ({setting_place(folder, 'url')})")
        sources = [place for place in find_old_places(folder) if place.is_asked and not place.is_granted]
        questions += [
            f"read Tinytown's tasks from {shown_url(each.url)} in `tt migrate`  ({each.named_by})" for each in sources
        ]
    data = DataFolder(folder)
    is_data_asked = False
    if data.exists():
        size = data.check()
        is_data_asked = not data.is_known()
        if is_data_asked:
            questions.append(_look_at_data(data, size))
    return TrustReport(folder, name, url, tuple(sources), is_data_asked, tuple(questions))


def place_of_trust(path: Path | None) -> TrustReport:
    """The folder whose trust can be taken back, whatever it holds by now: its content is not read. TownNotFoundError."""
    folder = _folder(path)
    name = None
    with suppress(CommandRejectedError):
        name = read_settings(folder).name
    return TrustReport(folder, name, None, (), is_data_asked=False, questions=())


def grant_trust(report: TrustReport) -> None:
    """Allow what was shown. FolderRefusedError if `~/.tt` cannot be written."""
    if report.url is not None:
        allow(connection_grant(report.folder, report.url), report.folder)
    for source in report.sources:
        source.allow()
    if report.is_data_asked:
        DataFolder(report.folder).trust()
        from town.cache import Cache, CachePlace  # noqa: PLC0415 - it loads SQLite, and data is allowed once

        # What was computed elsewhere is not shown: `tt verify` would not look at it.
        Cache(CachePlace(report.folder)).forget()


def _folder(path: Path | None) -> Path:
    start = absolute(start_of_search(path))
    if DataFolder(start).exists() and not is_town(start):
        refuse_foreign(start)
        return start
    return find_folder(start)


def _look_at_url(folder: Path, url: str) -> str:
    """What connecting to it would mean, in words.

    StoreUnavailableError, SettingsError if the URL is not allowed or cannot be shown.
    """
    refuse_unfit_url(url)
    shown = asked_url(url)
    if shown is None:
        raise SettingsError(
            folder / SETTINGS_FILE,
            "the password in [redis] url cannot be told from the rest, so the URL cannot be shown and allowed;"
            " write `@` as %40 there, but for the one before the host",
        )
    return f"connect to {shown}{', with the password that you keep for it' if with_password(url) != url else ''}"


def _look_at_data(data: DataFolder, size: DataSize) -> str:
    """What loading it would mean, in words. NotOursError if it would do more than change data."""
    from town.aof.foreign_commands import foreign_commands  # noqa: PLC0415 - only `tt trust` reads a server's files
    from town.aof.format import BINARY_PROBLEM  # noqa: PLC0415 - only `tt trust` reads a server's files

    loaded = foreign_commands(data.path)
    damage = next((each for each in loaded.unread if not each.is_cut_short and each.problem != BINARY_PROBLEM), None)
    if damage is not None and not loaded.foreign_count:
        raise NotOursError(
            data.path,
            f"is damaged and cannot be looked into ({damage.file}, byte {damage.offset:,}: {damage.problem})",
            "`tt doctor --repair` makes files that can be, and keeps these; or restore the data from a backup.",
        )
    if not loaded.only_change_data:
        shown = ", ".join(each.words for each in loaded.foreign[:COMMANDS_SHOWN_MAX])
        raise NotOursError(
            data.path,
            f"holds commands that do more than change data ({shown or 'a part that cannot be looked into'})",
            "No town's server writes those. Restore the data from a backup that you know.",
        )
    return (
        f"load the data in {data.path}: {size.files:,} files, {size.bytes / 1_048_576:,.1f} MiB,"
        f" {loaded.commands:,} commands, which change data and do nothing else"
    )
