"""`scan.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import UnfitReplyError, script_source

if TYPE_CHECKING:
    from redis import Redis

    from projections.filter import KeySets

STRETCH_IDS_MAX: Final = 1_000


class ScanScript:
    """Counts the tasks that are in the right sets, and returns a page of them."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(
        self,
        *,
        order_key: str,
        sets: KeySets,
        scanned: range,
        count_max: int = 0,
        first: int = 0,
        last: int | None = 0,
        is_newest_first: bool = False,
    ) -> tuple[list[str], int]:
        """The page from `first` up to `last`, None for the end, and how many there are; with `count_max`, only whether so many.

        `scanned` are the places in `sets.keys` of the sets that are gone through; empty for the order.
        """
        # Registered only here: most commands list nothing like it.
        script = self._client.register_script(script_source(__file__))
        from_key, to_key = (scanned.start + 2, scanned.stop + 1) if scanned else (1, 1)
        reply = script(
            keys=[order_key, *sets.keys],
            args=[
                *(len(sets.each), len(sets.either), from_key, to_key, STRETCH_IDS_MAX, count_max),
                *(first, -1 if last is None else last, "REV" if is_newest_first else ""),
            ],
        )
        match reply:
            case [int(total), list(found)] if all(type(task_id) is bytes for task_id in found):
                return [task_id.decode(errors="replace") for task_id in found], total
        raise UnfitReplyError("EVALSHA")
