"""Sends a script and leaves its reply for later, so that there is time for other work while the server is at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ledger.client_errors import NoScriptError, RedisError, ResponseError, kinds_of

if TYPE_CHECKING:
    from redis.connection import Connection, ConnectionPool

_NOT_KNOWN: Final = object()

Arguments = list[str | int | bytes]


def begin_script(pool: ConnectionPool, script: Any, keys: Sequence[str], arguments: Arguments) -> Callable[[], object]:  # noqa: ANN401 - a client's registered script
    """Send the script. What is returned reads the reply, and has to be called; errors of the sending wait for it too."""
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
