"""`look.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ledger import UnfitReplyError, is_id, script_source

if TYPE_CHECKING:
    from redis import Redis


class Looked(NamedTuple):
    """What there is, as the server has it, all of one moment; lists are in the order of the tasks and checkpoints asked for.

    `end` and `last` are empty without a stream, a checkpoint is empty where its key is no hash, a head where the task never
    was. A snapshot is empty where nothing lies at its key, and None where something lies there that is no string.
    `children` is -1 where the key is no set.
    """

    end: bytes
    last: bytes
    holder: bytes
    remaining_ms: int
    checkpoints: list[list[bytes]]
    heads: list[bytes]
    snapshots: list[bytes | None]
    children: list[int]


class LookScript:
    """Looks at a town before a command."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self,
        *,
        ledger_key: str,
        heads_key: str,
        lease_key: str,
        checkpoint_keys: Sequence[str],
        fields: Sequence[str],
        tasks: Sequence[str],
        snapshot_keys: Sequence[str],
        children_keys: Sequence[str],
    ) -> Looked:
        """`fields` are those of a checkpoint; the keys of snapshots and children are those of `tasks`, in the same order."""
        keys = [ledger_key, heads_key, lease_key, *checkpoint_keys, *snapshot_keys, *children_keys]
        reply = self._script(keys=keys, args=[len(checkpoint_keys), len(fields), *fields, *tasks])
        return _understand(reply, checkpoints=len(checkpoint_keys), fields=len(fields), tasks=len(tasks))


def _understand(reply: object, *, checkpoints: int, fields: int, tasks: int) -> Looked:
    match reply:
        case [
            bytes(end),
            bytes(last),
            bytes(holder),
            int(remaining_ms),
            list(found),
            list(heads),
            list(snapshots),
            list(children),
        ]:
            looked = Looked(
                end,
                last,
                holder,
                remaining_ms,
                [[] if each == b"" else each for each in found],
                heads,
                [None if each == 1 else each for each in snapshots],
                children,
            )
            if (
                all(position == b"" or is_id(position) for position in (end, last))
                and len(looked.checkpoints) == checkpoints
                and all(type(each) is list and len(each) in (0, fields) for each in looked.checkpoints)
                and all(type(value) is bytes for each in looked.checkpoints for value in each)
                and [len(heads), len(snapshots), len(children)] == [tasks] * 3
                and all(type(head) is bytes for head in heads)
                and all(snapshot is None or type(snapshot) is bytes for snapshot in looked.snapshots)
                and all(type(count) is int for count in children)
            ):
                return looked
    raise UnfitReplyError("EVALSHA")
