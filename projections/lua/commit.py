"""`commit.lua`, typed, and the changes it takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ledger import Position, script_source
from projections.projection import Counted, Entry, Member, Ranked

if TYPE_CHECKING:
    from redis import Redis

    from projections.checkpoint import Checkpoint

ARGUMENTS_MAX: Final = 2_000
"""How many arguments one operation carries; even. Lua's `unpack` fails at some 8,000."""

Change = tuple[str | int, ...]


class Changes:
    """What one commit does to snapshots and views, gathered key by key; the last word on a key or member counts."""

    def __init__(self) -> None:
        self._snapshots: dict[str, bytes | None] = {}
        self._members: dict[str, dict[str, bool]] = defaultdict(dict)
        self._scores: dict[str, dict[str, int | None]] = defaultdict(dict)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def put_snapshot(self, key: str, snapshot: bytes | None) -> None:
        """Write a snapshot; None drops it."""
        self._snapshots[key] = snapshot

    def add(self, key: str, entry: Entry) -> None:
        match entry:
            case Member():
                self._members[key][entry.task] = True
            case Ranked():
                self._scores[key][entry.task] = entry.score
            case Counted():
                self._counts[key][entry.field] += 1

    def take(self, key: str, entry: Entry) -> None:
        match entry:
            case Member():
                self._members[key][entry.task] = False
            case Ranked():
                self._scores[key][entry.task] = None
            case Counted():
                self._counts[key][entry.field] -= 1

    def operations(self) -> Iterator[tuple[str, str, list[str | int]]]:
        """(operation, key, arguments), as commit.lua knows them."""
        for key, snapshot in self._snapshots.items():
            # As text: the MessagePack inside Redis does not know the binary type.
            yield ("DEL", key, []) if snapshot is None else ("SET", key, [snapshot.decode()])
        for key, members in self._members.items():
            yield "SADD", key, [task for task, is_in in members.items() if is_in]
            yield "SREM", key, [task for task, is_in in members.items() if not is_in]
        for key, scores in self._scores.items():
            yield "ZADD", key, [part for task, score in scores.items() if score is not None for part in (score, task)]
            yield "ZREM", key, [task for task, score in scores.items() if score is None]
        for key, counts in self._counts.items():
            yield "COUNT", key, [part for field, count in counts.items() if count for part in (field, count)]


class CommitScript:
    """Commits a batch, unless another projector was first."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self,
        *,
        checkpoints: Sequence[tuple[str, Checkpoint]],
        from_position: Position,
        upto_position: Position,
        changes: Changes,
    ) -> bool:
        """Whether it was committed. `checkpoints` are pairs of key and checkpoint, each at `from_position`."""
        keys = [key for key, _ in checkpoints]
        indexes: dict[str, int] = {}
        encoded: list[Change] = []
        for operation, key, arguments in changes.operations():
            if arguments or operation == "DEL":
                index = indexes.setdefault(key, len(keys) + len(indexes))
                encoded.extend((operation, index, *part) for part in _parts(arguments))
        arguments_all: list[str | int | bytes] = [
            len(checkpoints),
            from_position,
            upto_position,
            msgspec.msgpack.encode(encoded),
        ]
        for _, checkpoint in checkpoints:
            arguments_all += [checkpoint.schema_version, checkpoint.generation]
        return bool(self._script(keys=[*keys, *indexes], args=arguments_all))


def _parts(arguments: Sequence[str | int]) -> Iterable[Sequence[str | int]]:
    if len(arguments) <= ARGUMENTS_MAX:
        return [arguments]
    return [arguments[start : start + ARGUMENTS_MAX] for start in range(0, len(arguments), ARGUMENTS_MAX)]
