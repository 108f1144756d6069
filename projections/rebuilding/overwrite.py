"""Overwrite: puts snapshots and the entries of views where they should be, without asking first what is there.

A batch is one transaction that holds only where the checkpoint is at the position its tasks were folded to, so what it
writes is true at that moment. What was there already costs nothing: Redis adds no member twice, and tells how many were
new. Snapshots are read before they are written, because Redis does not say whether a value was the same.

Beginning and finishing are two calls, so that the next batch is made while the server writes this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Self, cast

from msgspec import Struct

from ledger import Keys, Position, Task, redis_errors
from projections.entries import Contents
from projections.snapshots import NAME, encode_snapshot

if TYPE_CHECKING:
    from redis import Redis

SNAPSHOTS_BYTES_MAX: Final = 8 * 1024 * 1024

Command = Sequence[str | bytes | int]


class WriteBatch(Struct, frozen=True):
    """Some tasks as they are at `position`, and what is to be there: key -> snapshot, and the views' entries.

    `keys` are those of the entries, and `packed` the commands that put them there, as they go over the wire.
    """

    position: Position
    tasks: Sequence[Task]
    snapshots: dict[str, bytes]
    keys: Sequence[str]
    packed: Sequence[bytes]


class Overwrite:
    """Writes batches of one town's tasks, on a connection of its own. `where` names the server in messages."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        has_snapshots: bool,
        set_aside: Callable[[Mapping[str, bytes | None]], Collection[str]],
        where: str = "redis",
    ) -> None:
        """`set_aside` keeps what is no snapshot of what GET answers for keys; it tells for which keys it did."""
        self._pool = client.connection_pool
        self._set_aside = set_aside
        self._keys = keys
        self._has_snapshots = has_snapshots
        self._where = where
        self._misused: list[str] = []
        self._is_occupied = False
        self._missing = self._changed = 0
        self._put_right = 0
        self._written: Sequence[str] = ()
        self._replies_due = 0

    def __enter__(self) -> Self:
        with redis_errors(self._where):
            self._connection = self._pool.get_connection()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._replies_due or error is not None:
            # Replies may be on the way, or a WATCH be left; the next user of the connection must not get them.
            self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)

    def batch(self, tasks: Sequence[Task], contents: Contents, position: Position) -> WriteBatch:
        """What is to be written of `tasks`. Each command on entries tells how many of them were not there."""
        snapshots = {self._keys.task(task.id): encode_snapshot(task) for task in tasks} if self._has_snapshots else {}
        commands: list[Command] = [("SADD", key, *members) for key, members in contents.members.items()]
        for key, scores in contents.scores.items():
            commands.append(("ZADD", key, "CH", *(part for task, score in scores.items() for part in (score, task))))
        keys = [str(command[1]) for command in commands]
        # Here, because the server writes the batch before this one meanwhile.
        return WriteBatch(position, tasks, snapshots, keys, self._pack(commands))

    def begin(self, batch: WriteBatch, *, only_at_end: bool) -> bool:
        """Ask what is there, and send the transaction; False where it has to be begun again, and nothing was sent.

        That is where the checkpoint is elsewhere; with `only_at_end` also where events wait to be projected; and where
        something lay in the place of a snapshot that is none: it is set aside. Source: WATCH, HGET, XREVRANGE, MGET; MULTI,
        UNLINK, MSETNX, MSET, SADD, ZADD, EXEC; UNWATCH.
        """
        checkpoint = self._keys.checkpoint(NAME)
        questions: list[Command] = [
            ("WATCH", checkpoint),
            ("HGET", checkpoint, "position"),
            ("XREVRANGE", self._keys.ledger, "+", "-", "COUNT", 1),
        ]
        questions += [("MGET", *keys) for keys in _parts(batch.snapshots)]
        with redis_errors(self._where):
            _, position, last, *found = self._exchange(questions)
            is_behind = only_at_end and bool(last) and last[0][0] != position
            there = dict(zip(batch.snapshots, chain.from_iterable(found), strict=True))
            missing = {key: wanted for key, wanted in batch.snapshots.items() if there[key] is None}
            changed = {key: old for key, old in there.items() if old is not None and old != batch.snapshots[key]}
            if position != batch.position.encode() or is_behind or not self._may_replace(missing, changed):
                self._exchange([("UNWATCH",)])
                return False
            self._missing, self._changed, self._written = len(missing), len(changed), batch.keys
            transaction: list[Command] = [("MULTI",)]
            if self._misused:
                transaction.append(("UNLINK", *self._misused))
            if changed:
                transaction.append(("MSET", *(part for key in changed for part in (key, batch.snapshots[key]))))
            if missing:
                # Not over what somebody writes there meanwhile.
                transaction.append(("MSETNX", *(part for pair in missing.items() for part in pair)))
            self._send(transaction, packed=batch.packed, last=("EXEC",), count=len(batch.keys))
        return True

    def finish(self) -> int | None:
        """How many things were not as they should be; None where it has to be begun again.

        That is where the checkpoint or a snapshot that was to be replaced was written meanwhile, so nothing was; where
        something lies in the place of a missing snapshot; or where keys were of another type: they are dropped with the
        next transaction, which tells of both. StoreUnavailableError: perhaps it was written, and may be written again.
        """
        keys = self._written
        with redis_errors(self._where):
            answers = cast("list[Any] | None", self._receive()[-1])
            if answers is None:
                return None
            leading, entries = answers[: len(answers) - len(keys)], answers[len(answers) - len(keys) :]
            by_key = dict(zip(keys, entries, strict=True))
            misused = [key for key, answer in by_key.items() if _is_of_wrong_type(answer)]
        # MSETNX is the last of those before the entries.
        self._is_occupied = bool(self._missing) and leading[-1] == 0
        self._put_right += self._changed + (0 if self._is_occupied else self._missing)
        self._put_right += sum(int(answer) for key, answer in by_key.items() if key not in misused)
        if misused or self._is_occupied:
            self._misused += misused
            return None
        differences = self._put_right + len(self._misused)
        self._misused.clear()
        self._put_right = 0
        return differences

    def _may_replace(self, missing: Mapping[str, bytes], changed: Mapping[str, bytes]) -> bool:
        """Whether nobody's work lies in the places of these snapshots; what does is set aside, and is to be asked for again.

        From here on whoever writes in the place of a changed one ends the transaction.
        """
        suspects: dict[str, bytes | None] = dict(changed)
        if self._is_occupied:
            # By something of another type, or written meanwhile.
            suspects |= dict.fromkeys(missing)
        if suspects and self._set_aside(suspects):
            return False
        if not changed:
            return True
        _, *again = self._exchange([("WATCH", *changed), *(("MGET", *keys) for keys in _parts(changed))])
        return list(chain.from_iterable(again)) == list(changed.values())

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        self._send(commands)
        return self._receive()

    def _send(
        self,
        commands: Sequence[Command],
        *,
        packed: Sequence[bytes] = (),
        last: Command | None = None,
        count: int = 0,
    ) -> None:
        """Send `commands`, `count` of them that are packed already, and `last`."""
        ending = () if last is None else (last,)
        self._replies_due = len(commands) + count + len(ending)
        self._connection.send_packed_command([*self._pack(commands), *packed, *self._pack(ending)])  # type: ignore[no-untyped-call]

    def _pack(self, commands: Sequence[Command]) -> list[bytes]:
        return list(self._connection.pack_commands(commands))  # type: ignore[no-untyped-call]

    def _receive(self) -> list[Any]:
        """The replies to what was sent."""
        replies = []
        while self._replies_due:
            replies.append(self._connection.read_response())  # type: ignore[no-untyped-call]
            self._replies_due -= 1
        return replies


def _parts(snapshots: Mapping[str, bytes]) -> Iterator[list[str]]:
    """Their keys, in parts whose snapshots are read in one reply."""
    part: list[str] = []
    size_bytes = 0
    for key, snapshot in snapshots.items():
        if part and size_bytes + len(snapshot) > SNAPSHOTS_BYTES_MAX:
            yield part
            part, size_bytes = [], 0
        part.append(key)
        size_bytes += len(snapshot)
    if part:
        yield part


def _is_of_wrong_type(answer: object) -> bool:
    """Whether a key holds another type; other errors are raised."""
    if isinstance(answer, Exception) and "WRONGTYPE" not in str(answer):
        raise answer
    return isinstance(answer, Exception)
