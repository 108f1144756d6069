"""Overwrite: writes snapshots and the entries of views without comparing the entries first.

A batch is one transaction. It takes effect only if the checkpoint is at the position that its tasks were folded to, so what
it writes is true at that moment. Entries that were there already do no harm: Redis adds no member twice, and says how many
were new. Snapshots are read before they are written, because Redis does not say whether a value was the same.

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
    """Some tasks as they are at `position`, and what to write for them: key -> snapshot, and the entries of views.

    `keys` are the keys of the entries, and `packed` has the commands that write them, encoded for the wire.
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
        """`set_aside` takes what GET returned for some keys, sets aside what is not a snapshot, and returns those keys."""
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
            # Replies may be unread, or a WATCH active; the next user of the connection must not get them.
            self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)

    def batch(self, tasks: Sequence[Task], contents: Contents, position: Position) -> WriteBatch:
        """What to write for `tasks`. The reply to each command on entries says how many of them were missing."""
        snapshots = {self._keys.task(task.id): encode_snapshot(task) for task in tasks} if self._has_snapshots else {}
        commands: list[Command] = [("SADD", key, *members) for key, members in contents.members.items()]
        for key, scores in contents.scores.items():
            commands.append(("ZADD", key, "CH", *(part for task, score in scores.items() for part in (score, task))))
        keys = [str(command[1]) for command in commands]
        # Encoded here, because the server writes the previous batch meanwhile.
        return WriteBatch(position, tasks, snapshots, keys, self._pack(commands))

    def begin(self, batch: WriteBatch, *, only_at_end: bool) -> bool:
        """Read what is there and send the transaction; False if nothing was sent and it must begin again.

        It must begin again if the checkpoint is at another position; with `only_at_end`, if events wait to be projected; and if
        something else was at the key of a snapshot, which is then set aside. Source: WATCH, HGET, XREVRANGE, MGET; MULTI,
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
                # MSETNX does not overwrite what another client writes there meanwhile.
                transaction.append(("MSETNX", *(part for pair in missing.items() for part in pair)))
            self._send(transaction, packed=batch.packed, last=("EXEC",), count=len(batch.keys))
        return True

    def finish(self) -> int | None:
        """Read the replies and return how many things were wrong before; None if the batch must begin again.

        It must begin again if the checkpoint or a snapshot to replace changed meanwhile, and then nothing was written; if
        something is at the key of a missing snapshot; or if keys had another type. The next transaction deletes these, and
        its result counts both. StoreUnavailableError: the batch may be written, and can be written again.
        """
        keys = self._written
        with redis_errors(self._where):
            answers = cast("list[Any] | None", self._receive()[-1])
            if answers is None:
                return None
            leading, entries = answers[: len(answers) - len(keys)], answers[len(answers) - len(keys) :]
            by_key = dict(zip(keys, entries, strict=True))
            misused = [key for key, answer in by_key.items() if _is_of_wrong_type(answer)]
        # The reply to MSETNX is the last one before those of the entries.
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
        """Whether these snapshots may be written. If other content is at their keys, set it aside; then they must be read again.

        From here on, a client that writes to the key of a changed snapshot makes the transaction fail.
        """
        suspects: dict[str, bytes | None] = dict(changed)
        if self._is_occupied:
            # A key of another type, or one written meanwhile.
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
        """Send `commands`, then the `count` commands in `packed`, then `last`."""
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
    """The keys of snapshots, in parts that are small enough to read in one reply."""
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
