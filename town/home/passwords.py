"""Passwords of servers: kept in `~/.tt/passwords.toml`, readable by this user only, and never in a town's file.

A URL in a town's file names the server and the user; the password is added when the connection opens.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from ledger import InvalidValueError
from town.errors import SettingsError
from town.files.os_errors import refuse_os_errors
from town.files.taking_back import Undo
from town.files.toml_file import parse_toml, read_toml, write_toml
from town.files.whole_file import write_by_rename
from town.home.place import home_path, locked_home

PASSWORDS_FILE: Final = "passwords.toml"
UNKNOWN_URL: Final = "the configured URL"


class _Passwords(Struct, frozen=True):
    passwords: dict[str, str] = {}


def split_password(url: str) -> tuple[str, str | None]:
    """The URL without its password, and the password.

    The unchanged URL and None if it has no password or cannot be parsed.
    """
    place = _password_place(url)
    if place is None:
        return url, None
    colon, at = place
    scheme, _, user = url[:colon].partition("://")
    return f"{scheme}://{user}{'@' if user else ''}{url[at + 1 :]}", unquote(url[colon + 1 : at])


def keep_password(url: str, password: str, undo: Undo) -> None:
    """Remember the password of the server and user in `url`, in place of the previous one.

    InvalidValueError if `url` has none, SettingsError, FolderRefusedError: nothing was written.
    """
    server = _server(url)
    if server is None:
        raise InvalidValueError("URL", "cannot be read", "Correct it: redis://[user:password@]host:port/database.")
    path = home_path(PASSWORDS_FILE)
    with refuse_os_errors(path):
        undo.make_folder(path.parent, mode=0o700)
        with locked_home():
            before = path.read_bytes() if path.exists() else None
            table = _read()
            undo.add(path, lambda: _take_back(server, password, kept=table.get(server), before=before))
            write_toml(path, {"passwords": table | {server: password}})


def with_password(url: str) -> str:
    """The URL with the password kept for its server and user. Unchanged if it has a password, or none is kept."""
    if _password_place(url) is not None:
        return url
    server = _server(url)
    password = None if server is None else _read().get(server)
    if password is None:
        return url
    scheme, _, rest = url.partition("://")
    user, separator, host = rest.partition("@")
    if not separator:
        user, host = "", rest
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}"


def shown_url(url: str) -> str:
    """The URL as messages may show it. Nothing of it if it is unclear which part is the password."""
    try:
        parts = urlsplit(url)
        if "://" not in url or "@" in f"{parts.path}{parts.query}{parts.fragment}":
            return UNKNOWN_URL
        if _has_several_hosts(url):
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return UNKNOWN_URL
    return f"{parts.scheme}://{host}{port}{parts.path}"


def asked_url(url: str) -> str | None:
    """The URL as `tt` shows it to a user who has to allow it: all but the password.

    None if the password cannot be told from the rest. Its options are known and not secret
    (`connection.refuse_unfit_url`).
    """
    shown = shown_url(url)
    if shown == UNKNOWN_URL:
        return None
    parts = urlsplit(url)
    scheme, _, rest = shown.partition("://")
    return (
        f"{scheme}://{f'{parts.username}@' if parts.username else ''}{rest}{f'?{parts.query}' if parts.query else ''}"
    )


def _password_place(url: str) -> tuple[int, int] | None:
    """The places of the colon before and the @ behind the password in the URL, if it has one."""
    start = url.find("://") + 3
    if start < 3:
        return None
    end = min((at for sign in "/?#" if (at := url.find(sign, start)) >= 0), default=len(url))
    at = url.rfind("@", start, end)
    colon = url.find(":", start, at) if at >= 0 else -1
    return None if colon < 0 or colon + 1 == at else (colon, at)


def _has_several_hosts(url: str) -> bool:
    """Whether the URL is one of a cluster or of sentinels, which may name several hosts."""
    return "+" in url.partition("://")[0]


def _server(url: str) -> str | None:
    """The key of a password; None if the URL cannot be parsed.

    `user@host:port`, `user@/path` for a socket, `user@host:port,host:port` for a cluster or sentinels.
    """
    try:
        parts = urlsplit(url)
        if _has_several_hosts(url):
            return f"{parts.username or ''}@{parts.netloc.rpartition('@')[2].casefold()}"
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname or ''}:{parts.port or 6379}"
    except ValueError:
        return None
    return f"{parts.username or ''}@{where}"


def _take_back(server: str, password: str, *, kept: str | None, before: bytes | None) -> None:
    """Restore the passwords as they were `before`. What another process wrote meanwhile stays. OSError, SettingsError."""
    path = home_path(PASSWORDS_FILE)
    with locked_home():
        now = _read()
        if now.get(server) != password:
            return
        remaining = {name: each for name, each in now.items() if name != server}
        if kept is not None:
            remaining[server] = kept
        if before is None and not remaining:
            path.unlink(missing_ok=True)
        elif before is not None and msgspec.convert(parse_toml(path, before), _Passwords).passwords == remaining:
            write_by_rename(path, before, mode=0o600)
        else:
            write_toml(path, {"passwords": remaining})


def _read() -> dict[str, str]:
    path = home_path(PASSWORDS_FILE)
    with refuse_os_errors(path):
        if not path.exists():
            return {}
    try:
        return msgspec.convert(read_toml(path), _Passwords).passwords
    except msgspec.ValidationError as error:
        raise SettingsError(path, "does not hold a table of passwords") from error
