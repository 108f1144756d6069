"""`walk.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import UnfitReplyError, script_source

if TYPE_CHECKING:
    from redis import Redis

    from projections.filter import KeySets

STRETCH_IDS_MAX: Final = 1_000


class WalkScript:
    """Finds the oldest or newest tasks that are in the right sets."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(
        self, *, order_key: str, sets: KeySets, wanted: int, walk_ids_max: int, is_newest_first: bool
    ) -> list[str] | None:
        """The ids; None if the walk passed `walk_ids_max` ids before it found enough."""
        # Registered only here: most commands list nothing.
        script = self._client.register_script(script_source(__file__))
        stretch = min(max(2 * wanted, 1), STRETCH_IDS_MAX)
        reply = script(
            keys=[order_key, *sets.keys],
            args=[
                *(wanted, walk_ids_max, stretch, "REV" if is_newest_first else ""),
                *(len(sets.each), len(sets.either)),
            ],
        )
        match reply:
            case [1, list(found)] if all(type(task_id) is bytes for task_id in found):
                return [task_id.decode(errors="replace") for task_id in found]
            case [0, []]:
                return None
        raise UnfitReplyError("EVALSHA")
