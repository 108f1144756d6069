"""A town's folder: where it is, what `tinytown.toml` says, and what `tt init` writes there.

tinytown.toml    the town's name and settings; a folder that has it is a town
redis.sock       the embedded server's socket
.tt/             its data, lock and log
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import tomli_w
from msgspec import Struct

from ledger import TOWN_NAME_CHARS_MAX, TOWN_NAMES_RESERVED, InvalidValueError, check_town_name
from town.errors import FolderRefusedError, SettingsError, TownExistsError, TownNotFoundError

SETTINGS_FILE: Final = "tinytown.toml"
SOCKET_FILE: Final = "redis.sock"
LOCK_FILE: Final = "server.lock"
"""In the data folder: whoever holds its lock is the server."""
DATA_FOLDER: Final = ".tt"
GITIGNORE_LINES: Final = (f"{DATA_FOLDER}/", SOCKET_FILE)
_GIT_SECONDS_MAX: Final = 5
_TEMPORARY_SUFFIX: Final = ".new"


class RedisSettings(Struct, frozen=True):
    """`[redis]`: a server's `url`, or the `binary` of the embedded one; `hash_tag` renders keys for a cluster."""

    url: str | None = None
    binary: str | None = None
    hash_tag: bool = False


class Settings(Struct, frozen=True):
    """What `tinytown.toml` may say. Other keys are Tinytown's, and left alone."""

    name: str
    redis: RedisSettings = RedisSettings()


def find_folder(start: Path) -> Path:
    """The nearest folder from `start` upwards that is a town; TownNotFoundError."""
    start = absolute(start)
    for folder in (start, *start.parents):
        if is_town(folder):
            return folder
    raise TownNotFoundError(start)


def start_of_search(path: Path | str | None = None) -> Path:
    """Where the search for a town begins: `path`, else TT_TOWN, else the current folder."""
    return Path(path if path is not None else os.environ.get("TT_TOWN") or Path.cwd())


def is_town(folder: Path) -> bool:
    with refuse_os_errors(folder):
        return (folder / SETTINGS_FILE).is_file()


def absolute(path: Path) -> Path:
    """`path` from the root, without `..`, with links followed."""
    with refuse_os_errors(path):
        return path.expanduser().resolve()


def read_settings(folder: Path) -> Settings:
    """What the town's `tinytown.toml` says; SettingsError names what is wrong with it."""
    path = folder / SETTINGS_FILE
    table = read_toml(path)
    try:
        settings = msgspec.convert(table, Settings)
        check_town_name(settings.name)
    except (msgspec.ValidationError, InvalidValueError) as error:
        raise SettingsError(path, str(error).rstrip(".")) from error
    return settings


def make_folder(folder: Path, *, name: str | None = None, url: str | None = None) -> Settings:
    """Make `folder` a town, or meet it as it is; returns its settings.

    TownExistsError where it is a town of another name; FolderRefusedError where it cannot be written.
    """
    if is_town(folder):
        settings = read_settings(folder)
        if name not in (None, settings.name):
            raise TownExistsError(folder, settings.name)
        if url not in (None, settings.redis.url):
            raise SettingsError(
                folder / SETTINGS_FILE, "the town is there already, and not at that URL; set [redis] url"
            )
        return settings
    chosen = check_town_name(name) if name is not None else suggest_name(folder)
    settings = Settings(chosen, RedisSettings(url=url))
    with refuse_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _add_gitignore_lines(folder / ".gitignore")
        table: dict[str, object] = {"name": settings.name}
        if url is not None:
            table["redis"] = {"url": url}
        # Last, because its presence makes the folder a town.
        write_toml(folder / SETTINGS_FILE, table)
    return settings


def suggest_name(folder: Path) -> str:
    """A town name from the git repository and branch, else from the folder, made fit for the rule."""
    repository = _git(folder, "rev-parse", "--show-toplevel")
    branch = _git(folder, "symbolic-ref", "--short", "HEAD")
    if repository and branch:
        return fit_name(f"{Path(repository).name}-{branch}")
    return fit_name(folder.name)


def fit_name(text: str) -> str:
    """`text` with everything that a town name cannot hold replaced or cut."""
    fitted = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:TOWN_NAME_CHARS_MAX].rstrip("._-")
    if fitted in TOWN_NAMES_RESERVED:
        fitted = f"{fitted}-town"
    return fitted or "town"


def read_toml(path: Path) -> dict[str, object]:
    """The tables in a TOML file; SettingsError where it is none."""
    with refuse_os_errors(path):
        content = path.read_bytes()
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(path, f"is not TOML: {error}") from error


def write_toml(path: Path, table: dict[str, object]) -> None:
    """Write a TOML file by rename, so that a crash leaves the old file or the new one."""
    write_by_rename(path, tomli_w.dumps(table).encode())


def write_by_rename(path: Path, content: bytes, *, like: os.stat_result | None = None) -> None:
    """Write a file, with the permissions and as far as possible the owner of `like`: a crash leaves the old file or the new one."""
    with _written_beside(path, content, like) as written:
        written.replace(path)


def make_by_link(path: Path, content: bytes) -> None:
    """Write a file where there is none: a crash or an error leaves the whole file or none. FileExistsError."""
    with _written_beside(path, content, None) as written:
        try:
            path.hardlink_to(written)
        except FileExistsError:
            raise
        except OSError:
            # A disk without hard links. Whoever makes the empty file has the name; what else fails takes it back.
            path.touch(exist_ok=False)
            try:
                written.replace(path)
            except OSError:
                path.unlink()
                raise


@contextlib.contextmanager
def _written_beside(path: Path, content: bytes, like: os.stat_result | None) -> Iterator[Path]:
    """Inside, a new file with the content, on disk, next to where it is to be; afterwards it is gone from there."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            if like is not None:
                # The system lets root alone give files away; others keep what they may.
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def refuse_os_errors(path: Path) -> Iterator[None]:
    """Inside, an OSError leaves as FolderRefusedError that names the file it is about."""
    try:
        yield
    except OSError as error:
        raise FolderRefusedError(Path(error.filename) if isinstance(error.filename, str) else path, error) from error


def _add_gitignore_lines(path: Path) -> None:
    """Add what is missing at the end; what is there stays, byte for byte."""
    content = path.read_bytes() if path.exists() else b""
    missing = [line for line in GITIGNORE_LINES if line.encode() not in content.splitlines()]
    if missing:
        separator = "" if content.endswith(b"\n") or not content else "\n"
        with path.open("ab") as file:
            file.write((separator + "".join(f"{line}\n" for line in missing)).encode())


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where there is no git, no repository or no answer."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    try:
        finished = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
            ["git", "-C", str(existing), *arguments],  # noqa: S607 - whichever git the person uses
            capture_output=True,
            check=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return finished.stdout.strip() or None
