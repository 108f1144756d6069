"""Which URLs of servers are accepted: those of known kinds, with listed options only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

from ledger import StoreUnavailableError
from town.home.passwords import shown_url

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
HOSTS_MAX: Final = 32
"""How many nodes or sentinels a URL may name. It is enough that one of them answers."""

SINGLE: Final = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss", "unix": "unix"}
"""Scheme for one server -> redis-py's name for it."""
CLUSTER: Final = {f"{scheme}+cluster": name for scheme, name in SINGLE.items() if scheme != "unix"}
SENTINEL: Final = {f"{scheme}+sentinel": name for scheme, name in SINGLE.items() if scheme != "unix"}
SCHEMES: Final = SINGLE | CLUSTER | SENTINEL

Address = tuple[str, int]

_URL_OPTIONS: Final[Mapping[str, Callable[[str], bool]]] = {
    "db": str.isdecimal,
    "protocol": lambda value: value in ("2", "3"),
    "ssl_ca_certs": bool,
    "ssl_certfile": bool,
    "ssl_keyfile": bool,
    "ssl_cert_reqs": lambda value: value in ("none", "optional", "required"),
    "ssl_check_hostname": lambda value: value.casefold() in ("true", "false", "yes", "no"),
}
"""The options allowed behind `?` in a URL, each with a check of its value."""


class GroupUrl(Struct, frozen=True, kw_only=True):
    """What the URL of a cluster or of sentinels says.

    `hosts` are nodes of the cluster or sentinels, `service` is the name under which sentinels watch the primary; None for a
    cluster. `options` are those behind `?`, as redis-py's arguments.
    """

    is_tls: bool
    hosts: tuple[Address, ...]
    service: str | None
    db: int
    username: str | None
    password: str | None
    options: dict[str, str | int | bool]


def is_cluster_url(url: str) -> bool:
    """Whether the URL is one of a cluster."""
    return url.partition("://")[0] in CLUSTER


def is_group_url(url: str) -> bool:
    """Whether the URL is one of a cluster or of sentinels."""
    return url.partition("://")[0] in (CLUSTER | SENTINEL)


def refuse_unfit_url(url: str) -> None:
    """StoreUnavailableError for a URL of an unknown kind, or with unlisted options. Connects to nothing."""
    where = shown_url(url)
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise StoreUnavailableError(
            where, "has a URL of an unknown kind", f"Use {', '.join(f'{s}://' for s in SCHEMES)}."
        )
    _refuse_unknown_options(url, where)
    if is_group_url(url):
        read_group_url(url)


def read_group_url(url: str) -> GroupUrl:
    """What the URL of a cluster or of sentinels says. StoreUnavailableError if it cannot be read."""
    where = shown_url(url)
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
        credentials, _, named = parts.netloc.rpartition("@")
        hosts = tuple(_address(each, PORT if scheme in CLUSTER else SENTINEL_PORT) for each in named.split(","))
        options = dict(parse_qsl(parts.query))
        service, db = _path_of(scheme, parts, options.pop("db", None))
    except ValueError as error:
        raise StoreUnavailableError(where, f"has a URL that cannot be read: {error}", _advice(scheme)) from error
    username, _, password = credentials.partition(":")
    return GroupUrl(
        is_tls=SCHEMES[scheme] == "rediss",
        hosts=hosts,
        service=service,
        db=db,
        username=unquote(username) or None,
        password=unquote(password) or None,
        options={name: _value(name, value) for name, value in options.items()},
    )


def _path_of(scheme: str, parts: SplitResult, db: str | None) -> tuple[str | None, int]:
    """The service and the database that a URL names. ValueError."""
    if parts.netloc.count(",") >= HOSTS_MAX:
        raise ValueError(f"it names more than {HOSTS_MAX} hosts")
    path = [unquote(each) for each in parts.path.strip("/").split("/") if each]
    if scheme in CLUSTER:
        if any(each != "0" for each in (*path, *([] if db is None else [db]))):
            raise ValueError("a cluster has no database but 0")
        return None, 0
    if not path or len(path) > 2 or (len(path) == 2 and db is not None):
        raise ValueError("it names no service")
    number = path[1] if len(path) == 2 else db or "0"
    if not number.isdecimal():
        raise ValueError("its database is no number")
    return path[0], int(number)


def _address(text: str, port: int) -> Address:
    """Host and port in `host`, `host:port`, `[::1]:port`. ValueError."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or port


def _value(name: str, value: str) -> str | int | bool:
    """An option as redis-py's argument."""
    if name == "ssl_check_hostname":
        return value.casefold() in ("true", "yes")
    return int(value) if name == "protocol" else value


def _advice(scheme: str) -> str:
    form = "host:port,host:port" if scheme in CLUSTER else "host:port,host:port/service"
    return f"Correct it: {scheme}://[user:password@]{form}."


def _refuse_unknown_options(url: str, where: str) -> None:
    """StoreUnavailableError for options that would change the client's internals, such as the class of its parser."""
    try:
        options = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError as error:
        raise StoreUnavailableError(where, "has a URL that cannot be read", "Correct it.") from error
    names = [name for name, _ in options]
    for name, value in options:
        if names.count(name) > 1:
            raise StoreUnavailableError(
                where, f"has a URL that gives the option {name!r} twice", "Give each option once: only one could count."
            )
        fits = _URL_OPTIONS.get(name)
        if fits is None or not fits(value):
            problem = (
                "has a URL with an option that is not known"
                if fits is None
                else f"has a URL whose option {name} is not right"
            )
            raise StoreUnavailableError(where, problem, f"Known options are {', '.join(_URL_OPTIONS)}.")
        if name.startswith("ssl_") and SCHEMES[url.partition("://")[0]] != "rediss":
            secure = url.partition("://")[0].replace("redis", "rediss").replace("valkey", "valkeys")
            problem = f"has a URL whose option {name} is for TLS, and which asks for none"
            raise StoreUnavailableError(where, problem, f"For TLS, it begins with {secure}://.")
