"""`ready.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import Position, UnfitReplyError, is_id, script_source

if TYPE_CHECKING:
    from redis import Redis

_STRETCH_IDS_MIN: Final = 64
_STRETCH_IDS_MAX: Final = 1_000


class ReadyKeys(NamedTuple):
    """The keys that the script reads. `each` are sets that have each task, `either` those of which one has a task of nobody."""

    checkpoint: str
    later: str
    of_agent: str
    pending: str
    each: Sequence[str]
    either: Sequence[str]


class ReadyScript:
    """Finds the tasks that can be begun, best first."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(self, keys: ReadyKeys, *, now_ms: int | None, wanted: int) -> tuple[Position, list[str]]:
        """The position of the checkpoint, and up to `wanted` ids. None as the time is now, by the server's clock."""
        script = self._client.register_script(script_source(__file__))
        stretch = min(max(2 * wanted, _STRETCH_IDS_MIN), _STRETCH_IDS_MAX)
        reply = script(
            keys=[keys.checkpoint, keys.later, keys.of_agent, keys.pending, *keys.each, *keys.either],
            args=["" if now_ms is None else now_ms, wanted, stretch, len(keys.each)],
        )
        match reply:
            case [bytes(position), list(found)] if (position == b"0-0" or is_id(position)) and all(
                type(task_id) is bytes for task_id in found
            ):
                return Position(position, "ascii"), [task_id.decode(errors="replace") for task_id in found]
        raise UnfitReplyError("EVALSHA")
