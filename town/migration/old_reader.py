"""Reads what Tinytown left in a server: its keys and their records, in batches. Writes nothing.

For what cannot be a record it returns the reason in words, so that only this room looks at types and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, cast

from ledger import BEGINNING, OldRecord, ReplyTooLargeError, exchange, raise_error, redis_errors
from town.backend import Backend
from town.migration.old_records import OldKeys

if TYPE_CHECKING:
    from redis import Redis

RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
SCAN_KEYS_COUNT: Final = 1_000
_FEWER: Final = 4
_TOO_LONG: Final = f"it has more than {RECORD_BYTES_MAX:,} bytes"
GONE: Final = "it is gone"
"""The reason for a key that does not exist."""


class OldReader:
    """Reads one server. `where` names it in messages."""

    def __init__(self, client: Redis, *, where: str) -> None:
        self._client = client
        self._where = where

    def count_keys(self) -> int:
        """How many keys the server has, of any program. Source: DBSIZE."""
        with redis_errors(self._where):
            return cast("int", self._client.dbsize())

    def scan(self) -> Iterator[list[bytes]]:
        """Every key, in no order; some may come twice. Source: SCAN."""
        cursor = 0
        while True:
            with redis_errors(self._where):
                cursor, names = cast("tuple[int, list[bytes]]", self._client.scan(cursor, count=SCAN_KEYS_COUNT))
            if names:
                yield names
            if cursor == 0:
                return

    def find_task(self, is_task: Callable[[str], bool], *, calls_max: int) -> bool:
        """Whether `calls_max` calls find a key of a task. Source: SCAN."""
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
        records: list[OldRecord | str] = []
        count = len(keys)
        while len(records) < len(keys):
            try:
                records += self._read_some(keys[len(records) : len(records) + count])
            except ReplyTooLargeError:
                if count == 1:
                    records.append(_TOO_LONG)
                count = max(count // _FEWER, 1)
        return records

    def _read_some(self, keys: Sequence[str]) -> list[OldRecord | str]:
        """As `read`; ReplyTooLargeError if that is too much at once."""
        with redis_errors(self._where):
            texts = cast("list[bytes | None]", self._client.mget(keys))
            others = [key for key, text in zip(keys, texts, strict=True) if text is None]
            found = exchange(self._client, [("HGETALL", key) for key in others])
            hashes = {key: reply for key, reply in zip(others, map(_in_turn, found), strict=True) if reply}
            rest = [key for key in others if key not in hashes]
            kinds = dict(zip(rest, exchange(self._client, [("TYPE", key) for key in rest]), strict=True))
            raise_error(chain(found, kinds.values()), but="WRONGTYPE")
        return [
            _why_not(kinds[key].decode()) if key in kinds else _record(key, hashes[key] if text is None else text)
            for key, text in zip(keys, texts, strict=True)
        ]


def _in_turn(reply: object) -> list[bytes]:
    """Names and values of a hash in turn, as HGETALL returns them; empty if there is no hash."""
    if isinstance(reply, dict):
        return list(chain.from_iterable(reply.items()))
    return reply if isinstance(reply, list) else []


def size_of(record: OldRecord) -> int:
    """About how many bytes the record takes in an event."""
    value = record.value
    return len(value) if isinstance(value, str) else sum(map(len, value)) + sum(map(len, value.values()))


def _why_not(kind: str) -> str:
    return GONE if kind == "none" else f"it is a {kind}, and should be a string or a hash"


def _record(key: str, content: bytes | list[bytes]) -> OldRecord | str:
    """A key's content as a record, or why it is not one: a string, or names and values of a hash in turn."""
    if (len(content) if isinstance(content, bytes) else sum(map(len, content))) > RECORD_BYTES_MAX:
        return _TOO_LONG
    try:
        if isinstance(content, bytes):
            return OldRecord(key, "string", content.decode())
        texts = iter([text.decode() for text in content])
        return OldRecord(key, "hash", dict(zip(texts, texts, strict=True)))
    except UnicodeDecodeError:
        return "it holds bytes that are not UTF-8"


def has_old_tasks(backend: Backend, *, calls_max: int = 1) -> bool:
    """Whether a town without events has tasks from before the ledger, as far as `calls_max` calls can find.

    Source: SCAN.
    """
    if backend.store.end() != BEGINNING:
        return False
    reader = OldReader(backend.client, where=backend.where)
    return reader.find_task(OldKeys(backend.old_name).is_task, calls_max=calls_max)
