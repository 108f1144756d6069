"""`append.lua`, typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from msgspec import Struct

from ledger.client_errors import NoScriptError, RedisError, ResponseError, UnfitReplyError, kinds_of
from ledger.lua.source import script_source
from ledger.reply_shapes import is_id

if TYPE_CHECKING:
    from redis import Redis
    from redis.connection import Connection


class Appended(Struct, frozen=True):
    """The events are in the ledger, at `ms`, numbered from `first_seq`."""

    ms: int
    first_seq: int


class Conflict(Struct, frozen=True):
    """A guard failed; nothing was written."""

    task_id: str
    expected: int
    actual: int


class Backdated(Struct, frozen=True):
    """The time to record is before the last event; nothing was written."""

    last_position: str


class Damaged(Struct, frozen=True):
    """The stream or a head is not as this script left it; nothing was written."""

    last_position: str
    entries: int


_NOT_KNOWN: Final = object()

AppendReply = Appended | Conflict | Backdated | Damaged


class AppendScript:
    """Appends events, all or none."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._script = client.register_script(script_source(__file__))

    def begin(
        self,
        *,
        ledger_key: str,
        heads_key: str,
        guards: Mapping[str, int],
        events: Iterable[tuple[str, bytes]],
        backdate_ms: int | None = None,
    ) -> Callable[[], AppendReply]:
        """Send the script. Call the returned function to read the reply; it also raises what went wrong while sending.

        `guards` is task id -> expected version, `events` are pairs of task id and JSON. Each event's task has a guard.
        """
        arguments: list[str | int | bytes] = ["" if backdate_ms is None else backdate_ms, len(guards)]
        for guard in guards.items():
            arguments.extend(guard)
        for event in events:
            arguments.extend(event)
        keys = [ledger_key, heads_key]
        try:
            connection = self._pool.get_connection()
        except kinds_of(RedisError) as error:
            return partial(_fail, error)
        try:
            connection.send_command("EVALSHA", self._script.sha, len(keys), *keys, *arguments)  # type: ignore[no-untyped-call]
        except BaseException as error:
            # Half of it may have been sent.
            self._give_back(connection, is_reply_due=True)
            if not (isinstance(error, Exception) and isinstance(error, kinds_of(RedisError))):
                raise
            return partial(_fail, error)

        def finish() -> AppendReply:
            is_reply_due = True
            try:
                reply = connection.read_response()  # type: ignore[no-untyped-call]
                is_reply_due = False
            except kinds_of(NoScriptError):
                is_reply_due = False
                reply = _NOT_KNOWN
            except kinds_of(ResponseError):
                is_reply_due = False
                raise
            finally:
                self._give_back(connection, is_reply_due=is_reply_due)
            # The server does not know the script yet: the client sends it along.
            return _understand(self._script(keys=keys, args=arguments) if reply is _NOT_KNOWN else reply)

        return finish

    def _give_back(self, connection: Connection, *, is_reply_due: bool) -> None:
        if is_reply_due:
            # It may still come; the next user of the connection must not get it.
            connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(connection)


def _fail(error: Exception) -> NoReturn:
    raise error


def _understand(reply: object) -> AppendReply:
    match reply:
        case [b"appended", bytes(ms), bytes(first_seq)] if is_id(b"%s-%s" % (ms, first_seq)):
            return Appended(int(ms), int(first_seq))
        case [b"conflict", bytes(task), int(expected), int(actual)]:
            return Conflict(task.decode(errors="replace"), expected, actual)
        case [b"backdated", bytes(last_position)] if is_id(last_position):
            return Backdated(last_position.decode())
        case [b"damaged", bytes(place), int(entries)]:
            return Damaged(place.decode(errors="replace"), entries)
        case _:
            raise UnfitReplyError("EVALSHA")
