"""`commit.lua`, typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ledger import Position, is_yes, script_source
from projections.changes import Changes

if TYPE_CHECKING:
    from redis import Redis

    from projections.checkpoint import Checkpoint

ARGUMENTS_MAX: Final = 2_000
"""How many arguments one operation carries; even. Lua's `unpack` fails at about 8,000."""

_Encoded = tuple[str | int, ...]


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
        views: str,
        changes: Changes,
        ledger_key: str | None = None,
    ) -> bool:
        """Whether it was committed. `checkpoints` are pairs of key and checkpoint, each at `from_position`.

        `views` names all projected views. With a `ledger_key`, the event at `upto_position` must be in that ledger.
        """
        keys = [*(key for key, _ in checkpoints), *changes.snapshots]
        indexes: dict[str, int] = {}
        encoded: list[_Encoded] = []
        for operation, key, arguments in changes.operations():
            if arguments or operation == "DROP":
                index = indexes.setdefault(key, len(keys) + len(indexes))
                encoded.extend((operation, index, *part) for part in _parts(arguments))
        arguments_all: list[str | int | bytes] = [
            len(checkpoints),
            len(changes.snapshots),
            from_position,
            upto_position,
            views,
            msgspec.msgpack.encode(encoded),
            "" if ledger_key is None else "events",
        ]
        for _, checkpoint in checkpoints:
            arguments_all += [checkpoint.schema_version, checkpoint.generation]
        arguments_all += (snapshot or b"" for snapshot in changes.snapshots.values())
        return is_yes(
            self._script(keys=[*keys, *indexes, *([] if ledger_key is None else [ledger_key])], args=arguments_all),
            "EVALSHA",
        )


def _parts(arguments: Sequence[str | int]) -> Iterable[Sequence[str | int]]:
    if len(arguments) <= ARGUMENTS_MAX:
        return [arguments]
    return [arguments[start : start + ARGUMENTS_MAX] for start in range(0, len(arguments), ARGUMENTS_MAX)]
