"""The list of the towns on a server: a name for each, so that whoever looks for them need not look at all keys.

It is a help, and no truth: a name may be missing, or be of a town that is gone. Making, moving and opening a town for long writes
its name again (`docs/decisions/0050`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ledger.client_errors import UnfitReplyError
from ledger.errors import InvalidValueError
from ledger.exchange import exchange, raise_error
from ledger.keys import TOWNS_KEY, Keys, check_town_name
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

TOWNS_LISTED_MAX: Final = 1_000_000
_NAMES_PER_SCAN: Final = 1_000


class TownList:
    """The list on one server. In a cluster `client` leads to the node that has its key."""

    def __init__(self, client: Redis, *, where: str = "redis") -> None:
        self._client = client
        self._where = where

    def add(self, keys: Keys) -> None:
        """Write the town's name; it may be there. Source: HSET."""
        self._ask("HSET", TOWNS_KEY, _field_of(keys), b"")

    def remove(self, keys: Keys) -> None:
        """Take the town's name away: it has moved. Source: HDEL."""
        self._ask("HDEL", TOWNS_KEY, _field_of(keys))

    def count(self) -> int:
        """How many names there are. Source: HLEN."""
        count = self._ask("HLEN", TOWNS_KEY)
        if type(count) is not int:
            with redis_errors(self._where):
                raise UnfitReplyError("HLEN")
        return count

    def read(self) -> list[Keys]:
        """The towns, by name. What cannot be a town's name is left out. Source: HSCAN."""
        found: set[Keys] = set()
        cursor = b"0"
        while True:
            cursor, names = self._page(cursor)
            for name in names:
                if (keys := _keys_of(name)) is not None and len(found) < TOWNS_LISTED_MAX:
                    found.add(keys)
            if cursor == b"0":
                return sorted(found, key=lambda keys: (keys.town, keys.hash_tag))

    def _page(self, cursor: bytes) -> tuple[bytes, list[object]]:
        match self._ask("HSCAN", TOWNS_KEY, cursor, "COUNT", _NAMES_PER_SCAN):
            case [bytes(following), dict(names)] if following != cursor or following == b"0":
                return following, list(names)
            case [bytes(following), list(flat)] if len(flat) % 2 == 0 and (following != cursor or following == b"0"):
                return following, flat[::2]
        with redis_errors(self._where):
            raise UnfitReplyError("HSCAN")
        raise AssertionError("the error was raised")

    def _ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - a reply
        with redis_errors(self._where, key=TOWNS_KEY):
            [reply] = exchange(self._client, [command])
            raise_error([reply])
        return reply


def _field_of(keys: Keys) -> str:
    """As the town stands in its keys: `name`, or `{name}`."""
    return f"{{{keys.town}}}" if keys.hash_tag else keys.town


def _keys_of(field: object) -> Keys | None:
    if not isinstance(field, bytes):
        return None
    has_braces = field.startswith(b"{") and field.endswith(b"}")
    try:
        return Keys(check_town_name((field[1:-1] if has_braces else field).decode()), has_braces)
    except (InvalidValueError, UnicodeDecodeError):
        return None
