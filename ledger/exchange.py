"""Sends many commands at once on one connection and returns their replies as the server sends them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ledger.client_errors import RedisError, ResponseError, kinds_of

if TYPE_CHECKING:
    from redis import Redis


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
