"""Reads what Tinytown left in a server: its keys, and the records at them, in batches. Writes nothing.

What cannot be a record is answered with the reason in words, so that nobody else looks at types and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from ledger import OldRecord, redis_errors

if TYPE_CHECKING:
    from redis import Redis

RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
SCAN_KEYS_COUNT: Final = 1_000
GONE: Final = "it is gone"
"""Why there is no record at a key that does not exist."""


class OldReader:
    """Reads one server. `where` names it in messages."""

    def __init__(self, client: Redis, *, where: str) -> None:
        self._client = client
        self._where = where

    def count_keys(self) -> int:
        """How many keys there are, of whomever. Source: DBSIZE."""
        with redis_errors(self._where):
            return cast("int", self._client.dbsize())

    def scan(self) -> Iterator[list[bytes]]:
        """Every key, as it comes; some may come twice. Source: SCAN."""
        cursor = 0
        while True:
            with redis_errors(self._where):
                cursor, names = cast("tuple[int, list[bytes]]", self._client.scan(cursor, count=SCAN_KEYS_COUNT))
            if names:
                yield names
            if cursor == 0:
                return

    def find_task(self, is_task: Callable[[str], bool], *, calls_max: int) -> bool:
        """Whether a key of a task is among those that `calls_max` calls show. Source: SCAN."""
        for names in islice(self.scan(), calls_max):
            if any(is_task(name.decode(errors="replace")) for name in names):
                return True
        return False

    def read_list(self, key: str) -> list[str] | str:
        """The items of a list, or why there is none. Source: TYPE, LRANGE."""
        with redis_errors(self._where):
            kind = cast("bytes", self._client.type(key)).decode()
            if kind != "list":
                return f"it is a {kind}, and should be a list"
            items = cast("list[bytes]", self._client.lrange(key, 0, -1))
        return [item.decode(errors="replace") for item in items]

    def read(self, keys: Sequence[str]) -> list[OldRecord | str]:
        """The records at `keys`, or why there is none. Source: MGET, then HGETALL, then TYPE."""
        if not keys:
            return []
        with redis_errors(self._where):
            texts = cast("list[bytes | None]", self._client.mget(keys))
            others = [key for key, text in zip(keys, texts, strict=True) if text is None]
            hashes = dict(zip(others, self._ask("hgetall", others), strict=True))
            rest = [key for key in others if not isinstance(hashes[key], dict) or not hashes[key]]
            kinds = dict(zip(rest, self._ask("type", rest), strict=True))
        return [
            _why_not(kinds[key].decode()) if key in kinds else _record(key, hashes[key] if text is None else text)
            for key, text in zip(keys, texts, strict=True)
        ]

    def _ask(self, command: str, keys: Sequence[str]) -> list[Any]:
        """The server's answers to one command for each key, errors among them."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            getattr(pipeline, command)(key)
        return pipeline.execute(raise_on_error=False) if keys else []


def size_of(record: OldRecord) -> int:
    """About how many bytes the record takes in an event."""
    return _length(record.value)


def _length(value: str | bytes | dict[str, str] | dict[bytes, bytes]) -> int:
    return sum(map(len, value)) + sum(map(len, value.values())) if isinstance(value, dict) else len(value)


def _why_not(kind: str) -> str:
    return GONE if kind == "none" else f"it is a {kind}, and should be a string or a hash"


def _record(key: str, content: bytes | dict[bytes, bytes]) -> OldRecord | str:
    """What was read at a key as a record, or why it is none."""
    if _length(content) > RECORD_BYTES_MAX:
        return f"it has more than {RECORD_BYTES_MAX:,} bytes"
    try:
        if isinstance(content, bytes):
            return OldRecord(key, "string", content.decode())
        return OldRecord(key, "hash", {name.decode(): value.decode() for name, value in content.items()})
    except UnicodeDecodeError:
        return "it holds bytes that are no UTF-8"
