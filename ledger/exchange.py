"""Sends commands and reads their replies: many at once on one connection, or a script whose reply is read later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ledger.client_errors import NoScriptError, RedisError, ResponseError, kinds_of

if TYPE_CHECKING:
    from redis import Redis
    from redis.connection import Connection, ConnectionPool

_NOT_KNOWN: Final = object()

Arguments = list[str | int | bytes]


def exchange(client: Redis, commands: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
    """The reply to each of `commands`; an error is returned in its place. A redis-py pipeline takes twice as long.

    A hash is a flat list of names and values, or a dict if the connection speaks RESP3.

    LostConnectionError, OverdueReplyError: any of the commands may have been carried out.
    """
    if not commands:
        return []
    pool = client.connection_pool
    connection = pool.get_connection()
    replies: list[Any] = []
    try:
        connection.send_packed_command(connection.pack_commands(commands))  # type: ignore[no-untyped-call]
        while len(replies) < len(commands):
            try:
                replies.append(connection.read_response())  # type: ignore[no-untyped-call]
            except kinds_of(ResponseError) as error:
                replies.append(error)
    finally:
        if len(replies) < len(commands):
            # The rest may still come; the next user of the connection must not get it.
            connection.disconnect()  # type: ignore[no-untyped-call]
        pool.release(connection)
    return replies


def raise_error(replies: Iterable[object], *, but: str | None = None) -> None:
    """Raise the first error among the replies, except for errors whose text has `but`.

    ResponseError, as for a single command.
    """
    for reply in replies:
        if (
            isinstance(reply, Exception)
            and isinstance(reply, kinds_of(RedisError))
            and (but is None or but not in str(reply))
        ):
            raise reply


def begin_script(pool: ConnectionPool, script: Any, keys: Sequence[str], arguments: Arguments) -> Callable[[], object]:  # noqa: ANN401 - a client's registered script
    """Send the script. Call the returned function to read the reply; it also raises what went wrong while sending."""
    try:
        connection = pool.get_connection()
    except kinds_of(RedisError) as error:
        return partial(_fail, error)
    try:
        connection.send_command("EVALSHA", script.sha, len(keys), *keys, *arguments)  # type: ignore[no-untyped-call]
    except BaseException as error:
        # Half of it may have been sent.
        _give_back(pool, connection, is_reply_due=True)
        if not (isinstance(error, Exception) and isinstance(error, kinds_of(RedisError))):
            raise
        return partial(_fail, error)

    def finish() -> object:
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
            _give_back(pool, connection, is_reply_due=is_reply_due)
        # The server does not know the script yet: the client sends it along.
        return script(keys=keys, args=arguments) if reply is _NOT_KNOWN else reply

    return finish


def _give_back(pool: ConnectionPool, connection: Connection, *, is_reply_due: bool) -> None:
    if is_reply_due:
        # It may still come; the next user of the connection must not get it.
        connection.disconnect()  # type: ignore[no-untyped-call]
    pool.release(connection)


def _fail(error: Exception) -> NoReturn:
    raise error
