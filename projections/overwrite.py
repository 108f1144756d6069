"""Overwrite: puts snapshots and the entries of views where they should be, without asking first what is there.

A batch is one transaction that holds only where the checkpoint is at the position its tasks were folded to, so what it
writes is true at that moment. What was there already costs nothing: Redis adds no member twice, and tells how many were
new. Snapshots are read before they are written, because Redis does not say whether a value was the same.

Beginning and finishing are two calls, so that the next batch is made while the server writes this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from msgspec import Struct

from ledger import Keys, Position, Task, redis_errors
from projections.entries import Contents
from projections.snapshots import NAME, encode_snapshot

if TYPE_CHECKING:
    from redis import Redis

Command = Sequence[str | bytes | int]


class WriteBatch(Struct, frozen=True):
    """Some tasks as they are at `position`, what all views hold of them, and key -> snapshot."""

    position: Position
    tasks: Sequence[Task]
    contents: Contents
    snapshots: dict[str, bytes]

    def commands(self) -> Iterable[Command]:
        """What puts the entries of the views there; each tells how many were not."""
        for key, members in self.contents.members.items():
            yield "SADD", key, *members
        for key, scores in self.contents.scores.items():
            yield "ZADD", key, "CH", *(part for task, score in scores.items() for part in (score, task))


class Overwrite:
    """Writes batches of one town's tasks, on a connection of its own. `where` names the server in messages."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        has_snapshots: bool,
        set_aside: Callable[[Mapping[str, bytes | None]], object],
        where: str = "redis",
    ) -> None:
        """`set_aside` keeps what is no snapshot of what GET answers for keys, which are written over then."""
        self._pool = client.connection_pool
        self._set_aside = set_aside
        self._keys = keys
        self._has_snapshots = has_snapshots
        self._where = where
        self._misused: list[str] = []
        self._different_snapshots = 0
        self._put_right = 0
        self._written: list[str] = []
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
        snapshots = {self._keys.task(task.id): encode_snapshot(task) for task in tasks} if self._has_snapshots else {}
        return WriteBatch(position, tasks, contents, snapshots)

    def begin(self, batch: WriteBatch, *, only_at_end: bool) -> bool:
        """Ask what is there, and send the transaction; False where the checkpoint is elsewhere, and nothing was sent.

        With `only_at_end` also where events wait to be projected. What is no snapshot in the place of one is set aside
        before; that holds, whatever becomes of the transaction. Source: WATCH, HGET, XREVRANGE, MGET; MULTI, UNLINK, MSET,
        SADD, ZADD, EXEC; UNWATCH.
        """
        checkpoint = self._keys.checkpoint(NAME)
        questions: list[Command] = [
            # The snapshots too: what somebody writes there meanwhile is not written over unseen.
            ("WATCH", checkpoint, *batch.snapshots),
            ("HGET", checkpoint, "position"),
            ("XREVRANGE", self._keys.ledger, "+", "-", "COUNT", 1),
        ]
        if batch.snapshots:
            questions.append(("MGET", *batch.snapshots))
        with redis_errors(self._where):
            _, position, last, *found = self._exchange(questions)
            is_behind = only_at_end and bool(last) and last[0][0] != position
            if position != batch.position.encode() or is_behind:
                self._exchange([("UNWATCH",)])
                return False
            there = dict(zip(batch.snapshots, found[0] if found else (), strict=True))
            replaced = {key: there[key] for key, wanted in batch.snapshots.items() if wanted != there[key]}
            self._set_aside(replaced)
            different = [part for key in replaced for part in (key, batch.snapshots[key])]
            self._different_snapshots = len(replaced)
            transaction: list[Command] = [("MULTI",)]
            if self._misused:
                transaction.append(("UNLINK", *self._misused))
            if different:
                transaction.append(("MSET", *different))
            entries = list(batch.commands())
            self._written = [str(command[1]) for command in entries]
            self._send([*transaction, *entries, ("EXEC",)])
        return True

    def finish(self) -> int | None:
        """How many things were not as they should be; None where it has to be begun again.

        That is where the checkpoint or a snapshot was written meanwhile, so the transaction was not; or where keys were of
        another type: they are dropped with the next one, which tells of both. StoreUnavailableError: perhaps it was
        written, and may be written again.
        """
        keys = self._written
        with redis_errors(self._where):
            answers = cast("list[Any] | None", self._receive()[-1])
            if answers is None:
                return None
            entries = dict(zip(keys, answers[len(answers) - len(keys) :], strict=True))
            misused = [key for key, answer in entries.items() if _is_of_wrong_type(answer)]
        self._put_right += self._different_snapshots + sum(
            int(answer) for key, answer in entries.items() if key not in misused
        )
        if misused:
            self._misused += misused
            return None
        differences = self._put_right + len(self._misused)
        self._misused.clear()
        self._put_right = 0
        return differences

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        self._send(commands)
        return self._receive()

    def _send(self, commands: Sequence[Command]) -> None:
        self._replies_due = len(commands)
        self._connection.send_packed_command(self._connection.pack_commands(commands))  # type: ignore[no-untyped-call]

    def _receive(self) -> list[Any]:
        """The replies to what was sent."""
        replies = []
        while self._replies_due:
            replies.append(self._connection.read_response())  # type: ignore[no-untyped-call]
            self._replies_due -= 1
        return replies


def _is_of_wrong_type(answer: object) -> bool:
    """Whether a key holds another type; other errors are raised."""
    if isinstance(answer, Exception) and "WRONGTYPE" not in str(answer):
        raise answer
    return isinstance(answer, Exception)
