"""`relatives.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import UnfitReplyError, script_source

if TYPE_CHECKING:
    from redis import Redis

ORDERED_IDS_MAX: Final = 1_000


class RelativesSeen(NamedTuple):
    """What the server holds about the tasks around a task.

    `parent` is its snapshot; empty without one, and None if the key is not a string, as in `children`, which has the oldest
    tasks right below it. `total` is how many there are, and `counts` how many in each state; empty if there are too many.
    """

    parent: bytes | None
    total: int
    counts: list[int]
    children: dict[str, bytes | None]


class RelativesScript:
    """Reads the tasks around a task."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(
        self,
        *,
        parent_id: str | None,
        children_key: str,
        order_key: str,
        state_keys: Sequence[str],
        snapshots: str,
        limit: int,
    ) -> RelativesSeen:
        """At most `limit` children. `snapshots` is the prefix of the keys of tasks."""
        # Registered only here: few commands ask for it.
        script = self._client.register_script(script_source(__file__))
        reply = script(
            keys=[children_key, order_key, *state_keys], args=[snapshots, parent_id or "", limit, ORDERED_IDS_MAX]
        )
        match reply:
            case [bytes() | 1 as parent, int(total), list(counts), list(found)] if (
                all(type(count) is int for count in counts)
                and len(counts) in (0, len(state_keys))
                and len(found) % 2 == 0
                and all(type(task_id) is bytes for task_id in found[::2])
                and all(type(snapshot) is bytes or snapshot == 1 for snapshot in found[1::2])
            ):
                children = {
                    task_id.decode(errors="replace"): None if snapshot == 1 else snapshot
                    for task_id, snapshot in zip(found[::2], found[1::2], strict=True)
                }
                return RelativesSeen(None if parent == 1 else parent, total, counts, children)
        raise UnfitReplyError("EVALSHA")
