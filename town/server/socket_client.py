"""A client of the town's own server without redis-py, with the part of redis-py's interface that this program uses.

Importing redis-py takes longer than a whole command may, and most of it is for remote servers, which `bounded_client`
serves. One suite tests both clients, `tests/contract/test_clients.py`. A method that is missing here loads redis-py and
uses its client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from ledger import (
    ExecAbortError,
    LostConnectionError,
    NoScriptError,
    OverdueReplyError,
    RedisError,
    ResponseError,
    WatchError,
)
from town.server.client_face import CommandMethods, converted, option
from town.server.socket_connection import Explain, SocketConnection

if TYPE_CHECKING:
    from redis import Redis

    from town.server.due_replies import Command


class SocketPool:
    """The unused connections to one socket."""

    def __init__(self, path: str, explain: Explain) -> None:
        self._path = path
        self._explain = explain
        self._idle: list[SocketConnection] = []
        self.connection_kwargs: Mapping[str, Any] = {"path": path}

    def get_connection(self) -> SocketConnection:
        """An open connection with nothing left to read, for the caller alone. LostConnectionError, OverdueReplyError."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = SocketConnection(self._path, self._explain)
        try:
            connection.make_ready()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: SocketConnection) -> None:
        self._idle.append(connection)

    def disconnect(self) -> None:
        for connection in self._idle:
            connection.disconnect()


class SocketClient(CommandMethods):
    """A client of the server at the socket `path`. If a connection is lost, `explain` may say why."""

    def __init__(self, path: str, explain: Explain) -> None:
        self.connection_pool = SocketPool(path, explain)
        self._path = path
        self._whole: Redis | None = None
        """redis-py's client of the same socket, for methods that are missing here."""

    def execute_command(self, *command: Any) -> Any:
        """The reply to one command, in redis-py's types. RedisError."""
        connection = self.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return converted(command, connection.read_response())
        except ResponseError:
            raise
        except BaseException:
            # A reply may be on its way. The next user of the connection must not get it.
            connection.disconnect()
            raise
        finally:
            self.connection_pool.release(connection)

    def pipeline(self, transaction: bool = True) -> SocketPipeline:
        return SocketPipeline(self.connection_pool, is_transaction=transaction)

    def register_script(self, source: str) -> SocketScript:
        return SocketScript(self, source)

    def scan_iter(self, match: Any = None, count: int | None = None, _type: str | None = None) -> Iterator[Any]:
        cursor: Any = "0"
        while cursor != 0:
            cursor, found = self.scan(cursor, match=match, count=count, _type=_type)
            yield from found

    def hscan_iter(self, name: Any, match: Any = None, count: int | None = None) -> Iterator[tuple[Any, Any]]:
        for found in self._scan_in("HSCAN", name, match, count):
            yield from found.items()

    def sscan_iter(self, name: Any, match: Any = None, count: int | None = None) -> Iterator[Any]:
        for found in self._scan_in("SSCAN", name, match, count):
            yield from found

    def zscan_iter(self, name: Any, match: Any = None, count: int | None = None) -> Iterator[tuple[Any, float]]:
        for found in self._scan_in("ZSCAN", name, match, count):
            yield from found

    def _scan_in(self, command: str, name: Any, match: Any, count: int | None) -> Iterator[Any]:
        options = (*option("MATCH", match), *option("COUNT", count))
        cursor: Any = "0"
        while cursor != 0:
            cursor, found = self.execute_command(command, name, cursor, *options)
            yield found

    def close(self) -> None:
        """Close the connections. The next command opens one again."""
        self.connection_pool.disconnect()
        if self._whole is not None:
            self._whole.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if self._whole is None:
            from town.server.bounded_client import client_of_socket  # noqa: PLC0415

            self._whole = client_of_socket(self._path)
        return getattr(self._whole, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SocketScript:
    """A script in Lua, which is sent if the server does not know it."""

    def __init__(self, client: SocketClient, source: str) -> None:
        self._client = client
        self._source = source
        self.sha = _sha1(source.encode())

    def __call__(self, keys: Sequence[Any] = (), args: Iterable[Any] = ()) -> Any:
        command = ("EVALSHA", self.sha, len(keys), *keys, *args)
        try:
            return self._client.execute_command(*command)
        except NoScriptError:
            self._client.execute_command("SCRIPT LOAD", self._source)
            return self._client.execute_command(*command)


class SocketPipeline(CommandMethods):
    """Many commands at once: as a transaction, or one after another.

    Between `watch` and `multi` each is sent immediately.
    """

    def __init__(self, pool: SocketPool, *, is_transaction: bool) -> None:
        self._pool = pool
        self._is_transaction = is_transaction
        self._connection: SocketConnection | None = None
        self._commands: list[Command] = []
        self._is_watching = False
        self._is_explicit = False

    def execute_command(self, *command: Any) -> Any:
        """Keep the command for `execute` and return the pipeline; or send it immediately and return its reply."""
        if self._is_explicit or not (self._is_watching or command[0] == "WATCH"):
            self._commands.append(command)
            return self
        return self._ask(command)

    def watch(self, *names: Any) -> Any:
        """Make the transaction fail if others change one of these keys from now on."""
        if self._is_explicit:
            raise RedisError("Cannot issue a WATCH after a MULTI")
        return self.execute_command("WATCH", *names)

    def unwatch(self) -> Any:
        return self.execute_command("UNWATCH") if self._is_watching else True

    def multi(self) -> None:
        """Keep the following commands for `execute`."""
        if self._is_explicit:
            raise RedisError("Cannot issue nested calls to MULTI")
        if self._commands:
            raise RedisError("Commands without an initial WATCH have already been issued")
        self._is_explicit = True

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands and return the replies in order, with errors among them, or raise the first error.

        WatchError: nothing was carried out.
        """
        commands = self._commands
        if not commands and not self._is_watching:
            return []
        is_transaction = self._is_transaction or self._is_explicit
        try:
            connection = self._connected()
            replies = self._transact(connection, commands) if is_transaction else _exchange(connection, commands)
        except (LostConnectionError, OverdueReplyError) as error:
            raise self._lost(error) from error
        finally:
            self.reset()
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, ResponseError):
                    raise reply
        return [
            reply if isinstance(reply, Exception) else converted(command, reply)
            for command, reply in zip(commands, replies, strict=True)
        ]

    def reset(self) -> None:
        """Drop the commands, and give the connection back."""
        self._commands = []
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._is_watching:
                # Closing it ends the watch.
                connection.disconnect()
            self._pool.release(connection)
        self._is_watching = self._is_explicit = False

    def __len__(self) -> int:
        return len(self._commands)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()

    def __del__(self) -> None:
        self.reset()

    def _connected(self) -> SocketConnection:
        if self._connection is None:
            self._connection = self._pool.get_connection()
        return self._connection

    def _ask(self, command: Command) -> Any:
        connection = self._connected()
        try:
            connection.send_command(*command)
            reply = connection.read_response()
        except ResponseError:
            raise
        except (LostConnectionError, OverdueReplyError) as error:
            raise self._lost(error) from error
        except BaseException:
            # The reply may be on the way; the next user of the connection must not get it.
            connection.disconnect()
            raise
        if command[0] in ("WATCH", "UNWATCH"):
            self._is_watching = command[0] == "WATCH"
        return converted(command, reply)

    def _lost(self, error: RedisError) -> RedisError:
        """A lost connection ends the watch.

        The transaction was not carried out, or the caller has to check whether it was.
        """
        if not self._is_watching:
            return error
        self._is_watching = False
        return WatchError(f"A {type(error).__name__} occurred while watching one or more keys")

    def _transact(self, connection: SocketConnection, commands: Sequence[Command]) -> list[Any]:
        *queued, replies = _exchange(connection, [("MULTI",), *commands, ("EXEC",)])
        self._is_watching = False
        if isinstance(replies, Exception):
            refusals = [each for each in queued if isinstance(each, Exception)]
            raise refusals[0] if refusals and isinstance(replies, ExecAbortError) else replies
        if replies is None:
            raise WatchError("Watched variable changed.")
        return cast("list[Any]", replies)


def client_of_own_socket(path: str, *, explain: Explain) -> Redis:
    """A client of the town's own server, at the socket `path`; typed as redis-py's, whose interface it has."""
    return cast("Redis", SocketClient(path, explain))


def _exchange(connection: SocketConnection, commands: Sequence[Command]) -> list[Any]:
    """The reply to each command, ResponseErrors among them."""
    replies: list[Any] = []
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        while len(replies) < len(commands):
            try:
                replies.append(connection.read_response())
            except ResponseError as error:
                replies.append(error)
    finally:
        if len(replies) < len(commands):
            connection.disconnect()
    return replies


def _sha1(content: bytes) -> str:
    try:
        # `hashlib` loads OpenSSL, which takes as long as a third of the interpreter's start.
        from _sha1 import sha1  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        from hashlib import sha1  # noqa: PLC0415
    return cast("str", sha1(content).hexdigest())  # noqa: S324 - the name that the server gives a script
