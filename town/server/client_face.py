"""The command methods of redis-py's client and pipelines that this program uses, with redis-py's types of replies.

Most are made from a table. The type of a reply depends only on its command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from town.server.due_replies import Command


class CommandMethods:
    """The methods for commands: their arguments in the server's order, replies in redis-py's types."""

    def execute_command(self, *command: Any) -> Any:
        raise NotImplementedError

    # Methods with named arguments. The others are made from a table below.

    def set(self, name: Any, value: Any, *, px: int | None = None, nx: bool = False) -> Any:
        return self.execute_command("SET", name, value, *option("PX", px), *(("NX",) if nx else ()))

    def hset(self, name: Any, key: Any = None, value: Any = None, mapping: Mapping[Any, Any] | None = None) -> Any:
        pairs = [] if key is None else [key, value]
        return self.execute_command("HSET", name, *pairs, *_flat((mapping or {}).items()))

    def xadd(self, name: Any, fields: Mapping[Any, Any], id: Any = "*") -> Any:  # noqa: A002 - redis-py's name
        return self.execute_command("XADD", name, id, *_flat(fields.items()))

    def xrange(self, name: Any, min: Any = "-", max: Any = "+", count: int | None = None) -> Any:  # noqa: A002
        return self.execute_command("XRANGE", name, min, max, *option("COUNT", count))

    def xread(self, streams: Mapping[Any, Any], count: int | None = None, block: int | None = None) -> Any:
        options = (*option("COUNT", count), *option("BLOCK", block))
        return self.execute_command("XREAD", *options, "STREAMS", *streams, *streams.values())

    def zadd(self, name: Any, mapping: Mapping[Any, Any]) -> Any:
        return self.execute_command("ZADD", name, *_flat((score, member) for member, score in mapping.items()))

    def zinter(self, keys: Mapping[Any, Any] | Sequence[Any], aggregate: str | None = None) -> Any:
        weights = ("WEIGHTS", *keys.values()) if isinstance(keys, Mapping) else ()
        return self.execute_command("ZINTER", len(keys), *keys, *weights, *option("AGGREGATE", aggregate))

    def zrangebylex(self, name: Any, min: Any, max: Any, start: int | None = None, num: int | None = None) -> Any:  # noqa: A002
        limit = () if start is None or num is None else ("LIMIT", start, num)
        return self.execute_command("ZRANGEBYLEX", name, min, max, *limit)

    def scan(self, cursor: Any = 0, match: Any = None, count: int | None = None, _type: str | None = None) -> Any:
        options = (*option("MATCH", match), *option("COUNT", count), *option("TYPE", _type))
        return self.execute_command("SCAN", cursor, *options)


def option(name: str, value: Any) -> tuple[Any, ...]:
    return () if value is None else (name, value)


def _flat(arguments: Iterable[Any]) -> list[Any]:
    """The arguments, with lists flattened."""
    flat: list[Any] = []
    for argument in arguments:
        if isinstance(argument, (list, tuple, set, frozenset)):
            flat += argument
        else:
            flat.append(argument)
    return flat


# --- replies in redis-py's types ----------------------------------------------------------------------------------


def converted(command: Command, reply: Any) -> Any:
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
"""The methods that send a command of their own name with their arguments, lists flattened."""


def _method(command: str) -> Callable[..., Any]:
    def ask(self: CommandMethods, *arguments: Any) -> Any:
        return self.execute_command(command, *_flat(arguments))

    return ask


for _name in METHODS:
    setattr(CommandMethods, _name, _method({"delete": "DEL"}.get(_name, _name.replace("_", " ").upper())))
