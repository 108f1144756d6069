"""Access: who may ask, and who may change something.

Without tokens the server listens on loopback alone, and a request has to name it as its host, and as its origin if it has one:
so a page of another site reaches nothing, whatever name it gives this machine (DNS rebinding).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Collection, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger import InvalidValueError, check_name
from town import TokenFileRefusedError
from web.problems import Problem, problem_response

CALLER: Final = "tt.caller"
"""Where the scope of a request has its `Caller`."""
TOKEN_CHARS_MIN: Final = 16
TOKENS_MAX: Final = 1_000
TOKEN_FILE_BYTES_MAX: Final = 1 << 20
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})


class Right(IntEnum):
    """What a caller may do; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2


class Caller(Struct, frozen=True):
    """Who asks. `actor` is None for who started the server."""

    right: Right
    actor: str | None = None


class Tokens:
    """The tokens of a file. Only their digests are kept."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = dict(callers)

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """The tokens in a file of lines `NAME read|write TOKEN`. TokenFileRefusedError."""
        try:
            with path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
                    raise TokenFileRefusedError(path, "others may read it", f"Take that away: chmod 600 {path}")
                content = file.read(TOKEN_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise TokenFileRefusedError(path, error.strerror or str(error), "Give a file that you can read.") from error
        if len(content) > TOKEN_FILE_BYTES_MAX:
            raise TokenFileRefusedError(path, "it has more than 1 MiB", "Give a file of tokens.")
        callers: dict[bytes, Caller] = {}
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                token, caller = _parsed(path, number, line)
                if callers.setdefault(digest_of(token), caller) is not caller:
                    problem = f"the token in line {number} is that of an earlier line"
                    raise TokenFileRefusedError(path, problem, "Give each name a token of its own.")
        if not 0 < len(callers) <= TOKENS_MAX:
            raise TokenFileRefusedError(
                path, f"it has {len(callers):,} tokens", f"Give 1 to {TOKENS_MAX:,} lines of NAME read|write TOKEN."
            )
        return cls(callers)

    def caller(self, token: str) -> Caller:
        """Who has this token. Every token is compared, each in constant time."""
        given, found = digest_of(token), Caller(Right.NONE)
        for digest, caller in self._callers.items():
            if hmac.compare_digest(digest, given):
                found = caller
        return found


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _parsed(path: Path, number: int, line: str) -> tuple[str, Caller]:
    parts = line.split()
    right = {"read": Right.READ, "write": Right.WRITE}.get(parts[1].lower() if len(parts) == 3 else "")
    if right is None:
        raise TokenFileRefusedError(path, f"line {number} is not NAME read|write TOKEN", "Correct that line.")
    if len(parts[2]) < TOKEN_CHARS_MIN:
        advice = "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
        raise TokenFileRefusedError(path, f"the token in line {number} has under {TOKEN_CHARS_MIN} characters", advice)
    try:
        return parts[2], Caller(right, check_name(parts[0], "actor"))
    except InvalidValueError as error:
        raise TokenFileRefusedError(path, f"line {number}: {error}", "Correct that line.") from error


class Access:
    """Lets through who may ask, and refuses others before anything else is done.

    `hosts` are the names with ports that a request may have as its host; None allows all, which needs tokens.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        tokens: Tokens | None,
        is_read_only: bool,
        open_paths: Collection[str],
    ) -> None:
        assert hosts is not None or tokens is not None, "someone has to be told apart"
        self._app = app
        self._hosts = None if hosts is None else frozenset(hosts)
        self._tokens = tokens
        self._is_read_only = is_read_only
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            self._check_host(headers, is_link=_is_link(scope, headers))
            is_reading = scope["method"] in _READING
            caller = self._caller(headers, is_open=is_reading and scope["path"] in self._open_paths)
            if not is_reading:
                self._check_write(caller)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        scope[CALLER] = caller
        await self._app(scope, receive, send)

    def _check_host(self, headers: Mapping[str, list[str]], *, is_link: bool) -> None:
        """The request is meant for this server, and comes from no other site's page, unless that has a link to the board."""
        hosts, origins = headers.get("host", []), headers.get("origin", [])
        if len(hosts) != 1 or len(origins) > 1:
            raise Problem(400, "The request is not clear", "It needs one Host, and at most one Origin.")
        if self._hosts is not None and hosts[0].lower() not in self._hosts:
            raise Problem(
                403,
                "This is another host",
                f"This server answers as {' or '.join(sorted(self._hosts))} and no other name.",
            )
        own = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
        is_own = is_link or _OWN_SITE.issuperset(headers.get("sec-fetch-site", ()))
        if (origins and origins[0].lower() not in own) or not is_own:
            raise Problem(403, "The request comes from another site", "Pages of other sites cannot use this server.")

    def _caller(self, headers: Mapping[str, list[str]], *, is_open: bool) -> Caller:
        if self._tokens is None:
            return Caller(Right.READ if self._is_read_only else Right.WRITE)
        given = headers.get("authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        caller = self._tokens.caller(token.strip()) if scheme.lower() == "bearer" else Caller(Right.NONE)
        if caller.right is Right.NONE and not is_open:
            raise Problem(
                401,
                "A token is needed",
                "Send a token of this server's token file: Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Caller(min(caller.right, Right.READ), caller.actor) if self._is_read_only else caller

    def _check_write(self, caller: Caller) -> None:
        if caller.right is not Right.WRITE:
            why = (
                "This server only reads: it runs with --read-only."
                if self._is_read_only
                else "This token may only read."
            )
            raise Problem(403, "Writing is not allowed", why)


def _is_link(scope: Scope, headers: Mapping[str, list[str]]) -> bool:
    """Whether somebody followed a link to the page, in a tab of its own. The page is the same for all, and changes nothing."""
    opens_tab = headers.get("sec-fetch-mode") == ["navigate"] and headers.get("sec-fetch-dest") == ["document"]
    return opens_tab and scope["method"] == "GET" and scope["path"] == "/"


def _headers(scope: Scope) -> dict[str, list[str]]:
    """The values of each header, by its name in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found
