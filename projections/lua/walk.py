"""`walk.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ledger import UnfitReplyError, script_source

if TYPE_CHECKING:
    from redis import Redis

STRETCH_IDS_MAX: Final = 1_000


class WalkScript:
    """Finds the first tasks, in the order of creation or against it, that are in all of some sets."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(
        self, *, order_key: str, set_keys: Sequence[str], wanted: int, walk_ids_max: int, is_newest_first: bool
    ) -> list[str] | None:
        """The ids; None where more than `walk_ids_max` were walked past before there were enough."""
        # Registered when it is needed: most commands list nothing.
        script = self._client.register_script(script_source(__file__))
        stretch = min(max(2 * wanted, 1), STRETCH_IDS_MAX)
        reply = script(
            keys=[order_key, *set_keys], args=[wanted, walk_ids_max, stretch, "REV" if is_newest_first else ""]
        )
        match reply:
            case [1, list(found)] if all(type(task) is bytes for task in found):
                return [task.decode(errors="replace") for task in found]
            case [0, []]:
                return None
        raise UnfitReplyError("EVALSHA")
