"""Where Tinytown kept a town's tasks, by its settings and by what its versions left in the folder. Opens nothing.

[redis] of tinytown.toml    host, port and password of a server, by default the central one at 127.0.0.1:16379
.tt/redis.sock              the socket of 0.6 to 0.10, where use_socket is set
redis.sock                  the socket of 0.5 and before; our own server listens there too, so `connection` handles it
dump.rdb                    what a server saved at its end: in the folder, or in ~/.tt for the central one

A file that came with a clone may name any server, so `tt` connects only after the user allowed it. A socket in `.tt`
belongs to this user's own program if `.tt` is a plain folder: a clone or an archive cannot bring a live socket.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from ledger import CommandRejectedError
from town.files.plain_file import trusts_everything
from town.folder.settings import DATA_FOLDER, SETTINGS_FILE, SOCKET_FILE, read_settings_table, setting_place
from town.home.grants import allow, is_granted, source_grant
from town.home.passwords import shown_url, with_password
from town.home.place import home_path

DUMP_FILE: Final = "dump.rdb"
AOF_FILE: Final = "redis.aof"
"""In `.tt`: what Tinytown's `tt save` wrote."""
HOST: Final = "127.0.0.1"
PORT: Final = 6379
PORT_END: Final = 65_536
_TINYTOWNS: Final = frozenset({"use_socket", "socket_path", "host", "port", "aof_path", "persist", "bind"})
"""Keys of `[redis]` that only Tinytown writes."""


class OldPlace(Struct, frozen=True):
    """A server that may hold a town's tasks from before the ledger.

    `url` has no password, `named_by` is the file that names it, `files` are what its server saved. `is_asked` means
    that the user has to allow the connection.
    """

    folder: Path
    url: str
    named_by: str
    password: str | None
    is_asked: bool
    files: tuple[Path, ...]

    @property
    def where(self) -> str:
        """The server's name in messages."""
        return shown_url(self.url)

    @property
    def is_granted(self) -> bool:
        """Whether the user has allowed it."""
        return is_granted(source_grant(self.folder, self.url))

    @property
    def is_allowed(self) -> bool:
        """Whether `tt` may connect to it."""
        return not self.is_asked or trusts_everything() or self.is_granted

    def is_named_by(self, url: str) -> bool:
        """Whether the URL leads to this server, with any user and password."""
        server = _server(url)
        return server is not None and server == _server(self.url)

    def allow(self) -> None:
        """Remember that the user allowed it. FolderRefusedError."""
        allow(source_grant(self.folder, self.url), self.folder)

    def url_to_open(self) -> str:
        """The URL with its password, from the environment, the town's file, or the user's kept passwords."""
        password = os.environ.get("TINYTOWN_REDIS_PASSWORD") or self.password
        if password is None or self.url.startswith("unix://"):
            return with_password(self.url)
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://:{quote(password, safe='')}@{rest}"

    def start_words(self) -> str:
        """How to start a server on the saved files, so that `tt migrate` finds it."""
        return start_words(self.folder, self.files[0].parent if self.files else self.folder)


def find_old_places(folder: Path) -> list[OldPlace]:
    """The places of Tinytown's tasks, by the settings and files of the town in `folder`.

    Empty if the town is not Tinytown's.

    SettingsError, FolderRefusedError.
    """
    table = read_settings_table(folder)
    redis = table.get("redis")
    found = list(_named(folder, table, redis)) if isinstance(redis, dict) and _TINYTOWNS & redis.keys() else []
    socket = folder / DATA_FOLDER / SOCKET_FILE
    url = unix_url(socket)
    is_named = any(place.url == url for place in found)
    if not is_named and _is_own_socket(socket):
        found.append(OldPlace(folder, url, str(socket), None, False, _saved(folder)))
    return found


def is_tinytowns(folder: Path) -> bool:
    """Whether Tinytown wrote the town's `tinytown.toml`, judging by its `[redis]`."""
    redis = read_settings_table(folder).get("redis")
    return isinstance(redis, dict) and bool(_TINYTOWNS & redis.keys())


def password_of(folder: Path, url: str) -> str:
    """The URL that the user named, with the password that Tinytown's settings have for exactly that server."""
    try:
        places = find_old_places(folder)
    except CommandRejectedError:
        places = []
    for place in places:
        if "@" not in url and place.is_named_by(url):
            return place.url_to_open()
    return with_password(url)


def start_words(folder: Path, saved_in: Path) -> str:
    """The command that starts a server on the files saved in a folder, at the socket that `tt` looks at."""
    socket = folder / DATA_FOLDER / SOCKET_FILE
    where = f"--dir {shlex.quote(str(saved_in))} --unixsocket {shlex.quote(str(socket))}"
    # This server is only read, so it saves nothing: the saved files stay as Tinytown left them.
    return f"redis-server {where} --port 0 --save '' --daemonize yes"


def unix_url(path: Path) -> str:
    return f"unix://{quote(str(path))}"


def _named(folder: Path, table: Mapping[str, Any], redis: Mapping[str, Any]) -> Iterator[OldPlace]:
    """The server that the settings name, unless this program uses it anyway."""
    if isinstance(redis.get("url"), str) and redis["url"].strip():
        # Our own as well: the town itself is there.
        return
    if redis.get("use_socket", True) is not False:
        path = folder / _text(redis.get("socket_path"), f"{DATA_FOLDER}/{SOCKET_FILE}")
        if path == folder / SOCKET_FILE:
            # Our own server uses this socket: start Tinytown's at the other one.
            path = folder / DATA_FOLDER / SOCKET_FILE
        is_in_data = path == folder / DATA_FOLDER / SOCKET_FILE
        if is_in_data and os.path.lexists(path.parent) and not _is_own_folder(path.parent):
            return
        if is_in_data and os.path.lexists(path) and not _is_own_socket(path):
            return
        named_by = setting_place(folder, "socket_path") if "socket_path" in redis else str(folder / SETTINGS_FILE)
        yield OldPlace(folder, unix_url(path), named_by, None, not is_in_data, _saved(folder))
        return
    port = redis.get("port", PORT)
    if not isinstance(port, int) or not 0 < port < PORT_END:
        return
    host = _text(redis.get("host"), HOST)
    shown = f"[{host}]" if ":" in host else host
    scheme = "rediss" if redis.get("tls_enabled") is True else "redis"
    is_central = table.get("use_central_redis") is True
    yield OldPlace(
        folder,
        f"{scheme}://{quote(shown, safe='[]:')}:{port}",
        setting_place(folder, "port") if "port" in redis else str(folder / SETTINGS_FILE),
        password if isinstance(password := redis.get("password"), str) and password else None,
        True,
        _saved(home_path("") if is_central else folder),
    )


def _saved(folder: Path) -> tuple[Path, ...]:
    """What Tinytown's server left in the folder at its end, and what `tt save` wrote."""
    return tuple(path for path in (folder / DUMP_FILE, folder / DATA_FOLDER / AOF_FILE) if path.is_file())


def _is_own_socket(path: Path) -> bool:
    """Whether there is a socket of this user's in a folder of this user's. Follows no link."""
    return _is_own_folder(path.parent) and _is_own(path, stat.S_ISSOCK)


def _is_own_folder(path: Path) -> bool:
    return _is_own(path, stat.S_ISDIR)


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return is_kind(status.st_mode) and (status.st_uid == os.geteuid() or trusts_everything())


def _server(url: str) -> tuple[str, int | None, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.hostname or "", port, parts.path if parts.scheme == "unix" else ""


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise
