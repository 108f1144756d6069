"""Which URLs of servers are accepted: those of known kinds, with listed options only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from ledger import StoreUnavailableError
from town.home.passwords import shown_url

SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss", "unix": "unix"}

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


def refuse_unfit_url(url: str) -> None:
    """StoreUnavailableError for a URL of an unknown kind, or with unlisted options. Connects to nothing."""
    where = shown_url(url)
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise StoreUnavailableError(
            where, "has a URL of an unknown kind", f"Use {', '.join(f'{s}://' for s in SCHEMES)}."
        )
    _refuse_unknown_options(url, where)


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
