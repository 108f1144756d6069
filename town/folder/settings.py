"""A town's folder: where it is, what `tinytown.toml` says, and what `tt init` writes there.

tinytown.toml    the town's name and settings; a folder that has it is a town
redis.sock       the embedded server's socket
.tt/             its data, lock and log
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ledger import REPLICAS_MAX, TOWN_NAME_CHARS_MAX, TOWN_NAMES_RESERVED, InvalidValueError, check_town_name
from town.errors import FolderRefusedError, SettingsError, TownExistsError, UnfitNameError
from town.files.os_errors import refuse_os_errors
from town.files.plain_file import open_plain
from town.files.taking_back import Undo
from town.files.toml_file import parse_toml, read_whole
from town.files.whole_file import OWN_MODE, SHARED_MODE, make_by_link, write_by_rename
from town.folder.repository import branch, find_repository

SETTINGS_FILE: Final = "tinytown.toml"
SOCKET_FILE: Final = "redis.sock"
LOCK_FILE: Final = "server.lock"
"""In the data folder. The process that holds its lock is the server."""
DATA_FOLDER: Final = ".tt"
GITIGNORE_LINES: Final = (f"{DATA_FOLDER}/", SOCKET_FILE)
GITIGNORE_BYTES_MAX: Final = 16 * 1024 * 1024
"""An archive may bring a sparse file of any size."""


LOCAL: Final = "local"
"""`[redis] acks`: an append waits for no replica."""


class RedisSettings(Struct, frozen=True):
    """`[redis]`: a server's `url`. `hash_tag` makes keys for a cluster. `binary` is read only to refuse it.

    Options of the connection may stand here or in the URL; `read_settings` puts them into the URL, which the user allows as a
    whole.
    """

    url: str | None = None
    binary: str | None = None
    hash_tag: bool = False
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str | None = None
    ssl_check_hostname: bool | None = None
    acks: str = LOCAL

    @property
    def replicas(self) -> int:
        """How many replicas an append waits for. InvalidValueError."""
        number = self.acks.removeprefix("replicas:")
        if self.acks == LOCAL:
            return 0
        if number == self.acks or not number.isdecimal() or not 1 <= int(number) <= REPLICAS_MAX:
            raise InvalidValueError(
                "acks in [redis]", f"is {self.acks!r}", f"Write {LOCAL}, or replicas:N with N from 1 to {REPLICAS_MAX}."
            )
        return int(number)

    def with_options(self, url: str) -> str:
        """The URL with those options."""
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
        options = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.ssl_check_hostname is not None:
            options["ssl_check_hostname"] = "true" if self.ssl_check_hostname else "false"
        if not options:
            return url
        from urllib.parse import urlencode  # noqa: PLC0415 - few towns have options

        return f"{url}{'&' if '?' in url else '?'}{urlencode(options)}"


class TownSettings(Struct, frozen=True):
    """`[town]`: the name in the ledger's keys, if Tinytown's `name` cannot be used there.

    `aliases_of` is the town whose name the ids of aliases are computed from: for a fork, the first town that it comes from.
    """

    ledger_name: str | None = None
    aliases_of: str | None = None


class Settings(Struct, frozen=True):
    """The settings in `tinytown.toml`. Other keys are Tinytown's and stay as they are.

    `name` is the name in our keys; `old_name` is the one in Tinytown's keys, if it differs.
    """

    name: str
    redis: RedisSettings = RedisSettings()
    town: TownSettings = TownSettings()
    old_name: str | None = None

    @property
    def is_named_anew(self) -> bool:
        """Whether `name` is not in the file yet."""
        return self.old_name is not None and self.town.ledger_name is None


# msgspec has to build its decoder before several threads open towns: an unfinished one crashes the process.
msgspec.convert({"name": ""}, Settings)


def start_of_search(path: Path | str | None = None) -> Path:
    """Where the search for a town begins: `path`, else TT_TOWN, else the current folder. FolderRefusedError."""
    return Path(path if path is not None else os.environ.get("TT_TOWN") or current_folder())


def current_folder() -> Path:
    """The current folder. FolderRefusedError if it was removed."""
    try:
        return Path.cwd()
    except OSError as error:
        advice = "The folder that you are in was removed: go to another one, or name the town with --town PATH."
        raise FolderRefusedError(Path(), error, advice=advice) from error


def is_town(folder: Path) -> bool:
    """Whether the folder has a `tinytown.toml` of any kind. Reading it shows whether it is valid."""
    with refuse_os_errors(folder):
        try:
            return not stat.S_ISDIR((folder / SETTINGS_FILE).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def absolute(path: Path) -> Path:
    """`path` made absolute, without `..`, with links followed. FolderRefusedError."""
    with refuse_os_errors(path):
        try:
            return path.expanduser().resolve()
        except RuntimeError as error:
            # No such user, or no home folder; before Python 3.13 also a loop of links.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error


def read_settings(folder: Path, *, ledger_name: str | None = None) -> Settings:
    """The settings in the town's `tinytown.toml`. NotOursError if it is a link or belongs to another user.

    `ledger_name` is used if Tinytown's name cannot be in keys and the file has no other one. SettingsError;
    UnfitNameError without a usable name.
    """
    path = folder / SETTINGS_FILE
    try:
        settings = replace(msgspec.convert(read_settings_table(folder), Settings), old_name=None)
        if settings.redis.url is not None:
            settings = replace(
                settings, redis=replace(settings.redis, url=settings.redis.with_options(settings.redis.url))
            )
        named = settings.town.ledger_name
        if settings.town.aliases_of is not None:
            check_town_name(settings.town.aliases_of)
        # Refused here, where the file is named.
        _ = settings.redis.replicas
        if named is not None:
            check_town_name(named)
            return replace(settings, name=named, old_name=None if named == settings.name else settings.name)
        try:
            check_town_name(settings.name)
        except InvalidValueError as error:
            if not settings.name.strip():
                raise
            if ledger_name is not None:
                return replace(settings, name=ledger_name, old_name=settings.name)
            raise UnfitNameError(
                path, settings.name, str(error), folder=folder, suggested=fit_name(settings.name)
            ) from error
    except (msgspec.ValidationError, InvalidValueError) as error:
        raise SettingsError(path, str(error).rstrip(".")) from error
    return settings


def read_settings_table(folder: Path) -> dict[str, object]:
    """All that the town's `tinytown.toml` says, Tinytown's keys too. Errors as for `read_settings`."""
    path = folder / SETTINGS_FILE
    return parse_toml(path, _read_settings_file(path))


def name_ledger(folder: Path, name: str) -> None:
    """Set the ledger's name in the town's `tinytown.toml`; the rest of the file stays as it is. SettingsError."""
    check_town_name(name)
    path = folder / SETTINGS_FILE
    content = _read_settings_file(path)
    line = f'ledger_name = "{name}"\n'
    text = content.decode()
    if "town" not in read_settings_table(folder):
        separator = "" if text.endswith("\n") or not text else "\n"
        text = f"{text}{separator}\n[town]\n{line}"
    else:
        text = re.sub(r"(?m)^(\s*\[\s*town\s*\].*)$", lambda found: f"{found[1]}\n{line.rstrip()}", text, count=1)
    table = parse_toml(path, text.encode())
    town = table.get("town")
    if not isinstance(town, dict) or town.get("ledger_name") != name:
        raise SettingsError(path, f"has a table [town] that cannot be added to; write into it: {line.rstrip()}")
    with refuse_os_errors(path):
        write_by_rename(path, text.encode(), like=path.lstat())


def move_to_url(folder: Path, url: str | None, *, hash_tag: bool) -> None:
    """Let the town's `tinytown.toml` name another server, None for the town's own; the rest of the file stays as it is.

    Options of the connection go with the URL that they were for. SettingsError: write it by hand.
    """
    path = folder / SETTINGS_FILE
    content = _read_settings_file(path)
    wanted: dict[str, object] = {"url": url, "hash_tag": hash_tag or None}
    lines = [f"{name} = {_toml_value(value)}\n" for name, value in wanted.items() if value is not None]
    table = parse_toml(path, content)
    before = table.get("redis", {})
    moved = (
        {name: value for name, value in before.items() if not _OF_URL.fullmatch(name)}
        if isinstance(before, dict)
        else {}
    )
    moved |= {name: value for name, value in wanted.items() if value is not None}
    text = _with_redis_lines(content.decode(), lines)
    if parse_toml(path, text.encode()) != table | ({"redis": moved} if moved or "redis" in table else {}):
        raise SettingsError(
            path, f"its table [redis] cannot be changed; write into it: {', '.join(map(str.rstrip, lines)) or 'no url'}"
        )
    with refuse_os_errors(path):
        write_by_rename(path, text.encode(), like=path.lstat())


_OF_URL: Final = re.compile(r"url|hash_tag|ssl_\w+")
"""What in [redis] says where the server is."""


def _with_redis_lines(text: str, lines: list[str]) -> str:
    """The text of a settings file with these lines in [redis], in place of those that say where the server is."""
    kept: list[str] = []
    is_inside = has_table = False
    for line in text.splitlines(keepends=True):
        header = re.match(r"\s*\[\s*([^\]]*?)\s*\]", line)
        if header is not None:
            is_inside = header[1] == "redis"
        name = re.match(r"\s*(\w+)\s*=", line)
        if is_inside and name is not None and _OF_URL.fullmatch(name[1]):
            continue
        kept.append(line)
        if is_inside and header is not None:
            has_table = True
            kept += lines
    if lines and not has_table:
        separator = "" if not kept or kept[-1].endswith("\n") else "\n"
        kept += [f"{separator}\n[redis]\n", *lines]
    return "".join(kept)


def _toml_value(value: object) -> str:
    import tomli_w  # noqa: PLC0415 - only who writes needs it

    return tomli_w.dumps({"value": value}).partition(" = ")[2].strip()


def settings_to_be(folder: Path, *, name: str | None = None, url: str | None = None) -> Settings:
    """The settings of the town in `folder`, or those it would get. Nothing is written.

    TownExistsError if it is a town of another name; SettingsError if its server is at another URL.
    """
    if is_town(folder):
        settings = read_settings(folder, ledger_name=None if name is None else check_town_name(name))
        if name not in (None, settings.name):
            raise TownExistsError(folder, settings.name)
        if url is not None and settings.redis.url not in (url, settings.redis.with_options(url)):
            raise SettingsError(
                folder / SETTINGS_FILE, "the town is there already, and not at that URL; set [redis] url"
            )
        return settings
    chosen = check_town_name(name) if name is not None else suggest_name(folder)
    return Settings(chosen, RedisSettings(url=url, hash_tag=url is not None and "+cluster://" in url))


def write_new_settings(folder: Path, settings: Settings) -> None:
    """Write the `tinytown.toml` that makes the folder a town.

    FolderRefusedError, also if there is one; it stays as it is.
    """
    table: dict[str, object] = {"name": settings.name}
    redis: dict[str, object] = {"url": settings.redis.url, "hash_tag": settings.redis.hash_tag or None}
    given: dict[str, dict[str, object]] = {"redis": redis, "town": {"aliases_of": settings.town.aliases_of}}
    for name, values in given.items():
        said = {key: value for key, value in values.items() if value is not None}
        if said:
            table[name] = said
    path = folder / SETTINGS_FILE
    with refuse_os_errors(path):
        import tomli_w  # noqa: PLC0415 - only who writes needs it

        make_by_link(path, tomli_w.dumps(table).encode(), mode=OWN_MODE)


def add_gitignore_lines(folder: Path, undo: Undo) -> None:
    """Make git ignore the town's files: append missing lines to `.gitignore`. The rest stays, byte for byte.

    OSError, NotOursError, FolderRefusedError.
    """
    path = folder / ".gitignore"
    existed = os.path.lexists(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    before = added = b""
    undo.add(path, lambda: _take_back_lines(path, before if existed else None, added))
    with open(open_plain(path, flags, path=path, mode=SHARED_MODE), "r+b") as file:  # noqa: PTH123 - a descriptor has no path
        before = file.read(GITIGNORE_BYTES_MAX + 1)
        if len(before) > GITIGNORE_BYTES_MAX:
            error = OSError(errno.EFBIG, f"it has more than {GITIGNORE_BYTES_MAX:,} bytes")
            raise FolderRefusedError(path, error, advice="Is it a list of patterns? Make it shorter, or move it away.")
        missing = [line for line in GITIGNORE_LINES if line.encode() not in before.splitlines()]
        if missing:
            separator = "" if before.endswith(b"\n") or not before else "\n"
            added = (separator + "".join(f"{line}\n" for line in missing)).encode()
            file.write(added)


def suggest_name(folder: Path) -> str:
    """A town name from the git repository and branch, else from the folder, changed to obey the rule for names."""
    repository = find_repository(next(parent for parent in (folder, *folder.parents) if parent.is_dir()))
    checked_out = None if repository is None else branch(repository)
    if repository is not None and checked_out is not None:
        return fit_name(f"{repository.root.name}-{checked_out}")
    return fit_name(folder.name)


def fit_name(text: str) -> str:
    """`text` with everything that a town name cannot hold replaced or cut."""
    fitted = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:TOWN_NAME_CHARS_MAX].rstrip("._-")
    if fitted in TOWN_NAMES_RESERVED:
        fitted = f"{fitted}-town"
    return fitted or "town"


def setting_place(folder: Path, key: str) -> str:
    """The place of the key in the town's `tinytown.toml`, for messages: the file, and the line if known."""
    path = folder / SETTINGS_FILE
    try:
        lines = _read_settings_file(path).decode(errors="replace").splitlines()
    except FolderRefusedError:
        return str(path)
    pattern = re.compile(rf"""(?:^|[\s{{,."']){re.escape(key)}["']?\s*=""")
    number = next((number for number, line in enumerate(lines, 1) if pattern.search(line.partition("#")[0])), None)
    return str(path) if number is None else f"{path}, line {number}"


def _read_settings_file(path: Path) -> bytes:
    with refuse_os_errors(path):
        return read_whole(path, open_plain(path, os.O_RDONLY, path=path))


def _take_back_lines(path: Path, before: bytes | None, added: bytes) -> None:
    """Restore `.gitignore` (None: remove it), unless somebody else changed it meanwhile. OSError."""
    if before is not None and not added:
        return
    with open(open_plain(path, os.O_RDWR, path=path), "r+b") as file:  # noqa: PTH123 - a descriptor has no path
        content = file.read()
        kept = before or b""
        if not content.startswith(kept) or not added.startswith(content[len(kept) :]):
            raise FileExistsError(errno.EEXIST, "was changed meanwhile", str(path))
        if before is None:
            path.unlink()
        else:
            file.truncate(len(kept))
