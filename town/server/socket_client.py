"""A client of the town's own server that needs no redis-py, with the part of its face that is of use here.

Importing redis-py takes four times as long as all that a command does, and most of it is for servers elsewhere: those are
reached by `bounded_client`. What either client does is held by one suite, `tests/contract/test_clients.py`. A method that is
not here is redis-py's own, which is then loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, cast

from ledger import (
    ExecAbortError,
    LostConnectionError,
    NoScriptError,
    OverdueReplyError,
    RedisError,
    ResponseError,
    WatchError,
)
from town.server.socket_connection import Explain, SocketConnection

if TYPE_CHECKING:
    from redis import Redis

    from town.server.due_replies import Command


class SocketPool:
    """Connections to one socket that nobody uses at the moment."""

    def __init__(self, path: str, explain: Explain) -> None:
        self._path = path
        self._explain = explain
        self._idle: list[SocketConnection] = []
        self.connection_kwargs: Mapping[str, Any] = {"path": path}

    def get_connection(self) -> SocketConnection:
        """One that is open and has nothing to be read, for the caller alone. LostConnectionError, OverdueReplyError."""
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


class _Commands:
    """The methods for commands: their arguments in the server's order, replies in redis-py's types."""

    def execute_command(self, *command: Any) -> Any:
        raise NotImplementedError

    # Those whose arguments have names in Python; the others are made of a table below.

    def set(self, name: Any, value: Any, *, px: int | None = None, nx: bool = False) -> Any:
        return self.execute_command("SET", name, value, *_option("PX", px), *(("NX",) if nx else ()))

    def hset(self, name: Any, key: Any = None, value: Any = None, mapping: Mapping[Any, Any] | None = None) -> Any:
        pairs = [] if key is None else [key, value]
        return self.execute_command("HSET", name, *pairs, *_flat((mapping or {}).items()))

    def xadd(self, name: Any, fields: Mapping[Any, Any], id: Any = "*") -> Any:  # noqa: A002 - redis-py's name
        return self.execute_command("XADD", name, id, *_flat(fields.items()))

    def xrange(self, name: Any, min: Any = "-", max: Any = "+", count: int | None = None) -> Any:  # noqa: A002
        return self.execute_command("XRANGE", name, min, max, *_option("COUNT", count))

    def xread(self, streams: Mapping[Any, Any], count: int | None = None, block: int | None = None) -> Any:
        options = (*_option("COUNT", count), *_option("BLOCK", block))
        return self.execute_command("XREAD", *options, "STREAMS", *streams, *streams.values())

    def zadd(self, name: Any, mapping: Mapping[Any, Any]) -> Any:
        return self.execute_command("ZADD", name, *_flat((score, member) for member, score in mapping.items()))

    def zinter(self, keys: Mapping[Any, Any] | Sequence[Any], aggregate: str | None = None) -> Any:
        weights = ("WEIGHTS", *keys.values()) if isinstance(keys, Mapping) else ()
        return self.execute_command("ZINTER", len(keys), *keys, *weights, *_option("AGGREGATE", aggregate))

    def zrangebylex(self, name: Any, min: Any, max: Any, start: int | None = None, num: int | None = None) -> Any:  # noqa: A002
        limit = () if start is None or num is None else ("LIMIT", start, num)
        return self.execute_command("ZRANGEBYLEX", name, min, max, *limit)

    def scan(self, cursor: Any = 0, match: Any = None, count: int | None = None, _type: str | None = None) -> Any:
        options = (*_option("MATCH", match), *_option("COUNT", count), *_option("TYPE", _type))
        return self.execute_command("SCAN", cursor, *options)


class SocketClient(_Commands):
    """A client of the server at the socket `path`. Where a connection is lost, `explain` may say why."""

    def __init__(self, path: str, explain: Explain) -> None:
        self.connection_pool = SocketPool(path, explain)
        self._path = path
        self._whole: Redis | None = None
        """redis-py's client of the same socket, where a program wants a method of it that is not here."""

    def execute_command(self, *command: Any) -> Any:
        """The reply to one command, in redis-py's types. RedisError."""
        connection = self.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return _converted(command, connection.read_response())
        except ResponseError:
            raise
        except BaseException:
            # A reply may be on the way; the next user of the connection must not get it.
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
        options = (*_option("MATCH", match), *_option("COUNT", count))
        cursor: Any = "0"
        while cursor != 0:
            cursor, found = self.execute_command(command, name, cursor, *options)
            yield found

    def close(self) -> None:
        """Close the connections; they open again with what is asked next."""
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
    """A script in Lua, sent along where the server does not know it."""

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


class SocketPipeline(_Commands):
    """Many commands at once: as a transaction, or one after another. Between `watch` and `multi` each is asked at once."""

    def __init__(self, pool: SocketPool, *, is_transaction: bool) -> None:
        self._pool = pool
        self._is_transaction = is_transaction
        self._connection: SocketConnection | None = None
        self._commands: list[Command] = []
        self._is_watching = False
        self._is_explicit = False

    def execute_command(self, *command: Any) -> Any:
        """Keep the command for `execute`, and return the pipeline; or its reply, where it is asked at once."""
        if self._is_explicit or not (self._is_watching or command[0] == "WATCH"):
            self._commands.append(command)
            return self
        return self._ask(command)

    def watch(self, *names: Any) -> Any:
        """Give up the transaction where one of these is changed by others from now on."""
        if self._is_explicit:
            raise RedisError("Cannot issue a WATCH after a MULTI")
        return self.execute_command("WATCH", *names)

    def unwatch(self) -> Any:
        return self.execute_command("UNWATCH") if self._is_watching else True

    def multi(self) -> None:
        """Keep what follows for `execute`."""
        if self._is_explicit:
            raise RedisError("Cannot issue nested calls to MULTI")
        if self._commands:
            raise RedisError("Commands without an initial WATCH have already been issued")
        self._is_explicit = True

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The replies, in order; errors among them, or the first of them raised. WatchError: nothing was carried out."""
        commands = self._commands
        if not commands and not self._is_watching:
            return []
        is_transaction = self._is_transaction or self._is_explicit
        try:
            connection = self._connected()
            replies = self._transact(connection, commands) if is_transaction else self._run(connection, commands)
        except (LostConnectionError, OverdueReplyError) as error:
            raise self._lost(error) from error
        finally:
            self.reset()
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, ResponseError):
                    raise reply
        return [
            reply if isinstance(reply, Exception) else _converted(command, reply)
            for command, reply in zip(commands, replies, strict=True)
        ]

    def reset(self) -> None:
        """Forget the commands, and give the connection back."""
        self._commands = []
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._is_watching:
                # The watch ends with it.
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
        except (LostConnectionError, OverdueReplyError) as error:
            raise self._lost(error) from error
        if command[0] in ("WATCH", "UNWATCH"):
            self._is_watching = command[0] == "WATCH"
        return _converted(command, reply)

    def _lost(self, error: RedisError) -> RedisError:
        """With its connection a watch ends, and the transaction was not carried out, or has to be looked for."""
        if not self._is_watching:
            return error
        self._is_watching = False
        return WatchError(f"A {type(error).__name__} occurred while watching one or more keys")

    def _run(self, connection: SocketConnection, commands: Sequence[Command]) -> list[Any]:
        return _exchange(connection, commands)

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
    """A client of the town's own server, at the socket `path`; typed as redis-py's, whose face it has."""
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


def _option(name: str, value: Any) -> tuple[Any, ...]:
    return () if value is None else (name, value)


def _flat(arguments: Iterable[Any]) -> list[Any]:
    """The arguments, those that are lists one after another."""
    flat: list[Any] = []
    for argument in arguments:
        if isinstance(argument, (list, tuple, set, frozenset)):
            flat += argument
        else:
            flat.append(argument)
    return flat


# --- replies in redis-py's types ----------------------------------------------------------------------------------


def _converted(command: Command, reply: Any) -> Any:
    convert = _CONVERSIONS.get(command[0])
    return reply if convert is None else convert(reply)


def _is_ok(reply: Any) -> bool:
    return bool(reply == b"OK")


def _pairs(reply: Any) -> dict[Any, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _entries(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [(entry_id, _pairs(fields)) for entry_id, fields in reply]


def _entry(reply: Any) -> tuple[bytes, dict[bytes, bytes]] | None:
    return None if reply is None else (reply[0], _pairs(reply[1]))


def _stream(reply: Any) -> dict[str, Any]:
    stream = {name.decode(): value for name, value in _pairs(reply).items()}
    return stream | {name: _entry(stream.get(name)) for name in ("first-entry", "last-entry")}


def _scores(reply: Any) -> list[float | None]:
    return [None if score is None else float(score) for score in reply]


def _information(reply: bytes) -> dict[str, Any]:
    lines = (line.partition(":") for line in reply.decode().splitlines() if not line.startswith("#"))
    return {name: _value(value) for name, colon, value in lines if colon}


def _value(text: str) -> Any:
    """A value of INFO: a number, a text, or a table of `name=value,…`."""
    if "=" in text:
        pairs = (part.rpartition("=") for part in text.split(",") if part)
        return {name: _value(value) for name, _, value in pairs}
    if "," in text:
        return [_value(part) for part in text.split(",") if part]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("COPY", "HEXISTS", "MSETNX", "RENAMENX"), bool),
    **dict.fromkeys(
        ("CONFIG SET", "FLUSHALL", "FLUSHDB", "MSET", "RENAME", "SCRIPT FLUSH", "UNWATCH", "WATCH"), _is_ok
    ),
    **dict.fromkeys(("SDIFF", "SMEMBERS", "SUNION"), set),
    **dict.fromkeys(("XRANGE", "XREVRANGE"), _entries),
    "CONFIG GET": lambda reply: {name.decode(): value.decode() for name, value in _pairs(reply).items()},
    "HGETALL": _pairs,
    "HSCAN": lambda reply: (int(reply[0]), _pairs(reply[1])),
    "INFO": _information,
    "PING": lambda reply: reply == b"PONG",
    "SCAN": lambda reply: (int(reply[0]), reply[1]),
    "SCRIPT EXISTS": lambda reply: [bool(each) for each in reply],
    "SCRIPT LOAD": bytes.decode,
    "SET": lambda reply: None if reply is None else reply == b"OK",
    "SSCAN": lambda reply: (int(reply[0]), reply[1]),
    "TIME": lambda reply: (int(reply[0]), int(reply[1])),
    "XINFO STREAM": _stream,
    "XREAD": lambda reply: [[name, _entries(entries)] for name, entries in reply or ()],
    "ZMSCORE": _scores,
    "ZSCAN": lambda reply: (int(reply[0]), list(zip(reply[1][::2], _scores(reply[1][1::2]), strict=True))),
    "ZSCORE": lambda reply: None if reply is None else float(reply),
}

METHODS: Final = """
    config_get config_set copy dbsize delete dump evalsha exists flushall get hdel hexists hget hgetall hincrby
    hkeys hlen hmget info lrange memory_usage mget ping pttl rename renamenx rpush sadd scard script_exists
    script_flush script_load sdiff sismember smembers smismember srandmember srem strlen sunion time type unlink
    xdel xinfo_stream xlen zcard zmscore zrange zrem zscore
""".split()  # noqa: SIM905 - a line for each would be the longest part of this file
"""The methods that are a command of that name and its arguments, lists of them one after another."""


def _method(command: str) -> Callable[..., Any]:
    def ask(self: _Commands, *arguments: Any) -> Any:
        return self.execute_command(command, *_flat(arguments))

    return ask


for _name in METHODS:
    setattr(_Commands, _name, _method({"delete": "DEL"}.get(_name, _name.replace("_", " ").upper())))
