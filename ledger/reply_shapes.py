"""The shape of the reply to each Redis command, so that an unexpected reply is refused before any code reads it.

`fits` checks replies as they come, before redis-py converts them. It knows both protocols, RESP2 and RESP3. A command that
is not in the table is not checked. Scripts check their own replies, in `lua`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from ledger.client_errors import UnfitReplyError

Command = Sequence[Any]
"""A command as the client got it: its name, then its arguments."""
Shape = Callable[[Any, Command], bool]
"""Whether a reply has the shape that the command's replies have."""

_DIGITS: Final = b"0123456789"
_ID_CHARS_MAX: Final = 41
_TWO_WORDS: Final = frozenset(["CLIENT", "CONFIG", "MEMORY", "SCRIPT", "XINFO"])
_HEX: Final = b"0123456789abcdef"
_HASH_CHARS: Final = 40


def name_of(command: Command) -> str:
    """The command's name in capitals, with both words if it has two: `XINFO STREAM`."""
    name = _text(command[0]).upper()
    return f"{name} {_text(command[1]).upper()}" if name in _TWO_WORDS and len(command) > 1 else name


def is_yes(reply: object, command: str) -> bool:
    """Whether a script answered 1 and not 0. UnfitReplyError if it is neither."""
    if reply not in (0, 1) or type(reply) is not int:
        raise UnfitReplyError(command)
    return reply == 1


def fits(reply: object, command: Command) -> bool:
    """Whether `reply` has the shape that replies to `command` have."""
    # Nearly every name is in capitals and one word, so the first look-up is enough.
    shape = SHAPES.get(command[0]) or SHAPES.get(name_of(command))
    return shape is None or shape(reply, command)


def are_entries(reply: object) -> bool:
    """Whether these are entries of a stream: each an id and a flat list of field names and values."""
    return (
        type(reply) is list
        and split_ids(reply) is not None
        and all(type(fields) is list and set(map(type, fields)) <= {bytes} for _, fields in reply)
    )


def split_ids(entries: Sequence[Any]) -> list[str] | None:
    """The ids of a stream's entries as text; None if one is not an id. Takes no longer than decoding each id."""
    try:
        joined = b" ".join([entry_id for entry_id, _ in entries])
    except (TypeError, ValueError):
        return None
    if not entries:
        return []
    if (
        joined.translate(None, _DIGITS) != b"-" + b" -" * (len(entries) - 1)
        or b" -" in joined
        or b"- " in joined
        or joined.startswith(b"-")
        or joined.endswith(b"-")
    ):
        return None
    ids = joined.decode().split(" ")
    return ids if max(map(len, ids)) <= _ID_CHARS_MAX else None


def _has_entries_at_its_ends(reply: object, _: Command) -> bool:
    """Whether the first and the last are entries. A fold reads a million; decoding (`split_ids`) checks those in between."""
    return type(reply) is list and are_entries(reply if len(reply) < 3 else [reply[0], reply[-1]])


def is_id(reply: object) -> bool:
    """Whether this is the id of a stream's entry."""
    return split_ids([(reply, None)]) is not None


def _is(*kinds: type) -> Shape:
    return lambda reply, _: type(reply) in kinds


def _is_word(*words: bytes) -> Shape:
    return lambda reply, _: reply in words


def _all(*kinds: type, containers: tuple[type, ...] = (list,)) -> Shape:
    return lambda reply, _: type(reply) in containers and set(map(type, reply)) <= set(kinds)


def _one_for_each(*kinds: type, names: int) -> Shape:
    """A list with one element per argument after the first `names`."""
    return lambda reply, command: (
        type(reply) is list and len(reply) == len(command) - names and set(map(type, reply)) <= set(kinds)
    )


def _pairs(reply: object) -> Mapping[Any, Any] | None:
    """A flat list of names and values, or a dict as in RESP3, as a dict; None if it is neither."""
    if isinstance(reply, dict):
        return reply
    if type(reply) is list and len(reply) % 2 == 0 and set(map(type, reply[::2])) <= {bytes}:
        return dict(zip(reply[::2], reply[1::2], strict=True))
    return None


def _is_table(reply: object, _: Command = ()) -> bool:
    pairs = _pairs(reply)
    return pairs is not None and set(map(type, chain(pairs, pairs.values()))) <= {bytes}


def _found(what: Shape, *, names: int) -> Shape:
    """A cursor, and what was found. A cursor that leads to itself is refused: following it would never end."""

    def is_found(reply: Any, command: Command) -> bool:
        return (
            type(reply) is list
            and len(reply) == 2
            and type(reply[0]) is bytes
            and reply[0].isdigit()
            and len(reply[0]) <= 20
            and (int(reply[0]) == 0 or int(reply[0]) != int(command[names]))
            and what(reply[1], command)
        )

    return is_found


def _are_pairs_of_texts(reply: Any, _: Command) -> bool:
    return type(reply) is list and len(reply) % 2 == 0 and set(map(type, reply)) <= {bytes}


def _are_scored(reply: Any, command: Command) -> bool:
    return _are_pairs_of_texts(reply, command) and all(map(_is_score, reply[1::2]))


def _is_score(reply: object) -> bool:
    if type(reply) is float:
        return not math.isnan(reply)
    if type(reply) is not bytes:
        return False
    try:
        return not math.isnan(float(reply))
    except ValueError:
        return False


def _are_scores(reply: Any, command: Command) -> bool:
    return (
        type(reply) is list
        and len(reply) == len(command) - 2
        and all(each is None or _is_score(each) for each in reply)
    )


def _is_entry(reply: object) -> bool:
    return reply is None or are_entries([reply])


def _is_stream(reply: object, _: Command) -> bool:
    pairs = _pairs(reply)
    return (
        pairs is not None
        and set(map(type, pairs)) <= {bytes}
        and type(pairs.get(b"length")) is int
        and is_id(pairs.get(b"last-generated-id"))
        and b"last-entry" in pairs
        and _is_entry(pairs.get(b"first-entry"))
        and _is_entry(pairs[b"last-entry"])
    )


def _are_streams(reply: Any, _: Command) -> bool:
    if reply is None:
        return True
    if isinstance(reply, dict):
        return all(type(name) is bytes and are_entries(entries) for name, entries in reply.items())
    return type(reply) is list and all(
        type(each) is list and len(each) == 2 and type(each[0]) is bytes and are_entries(each[1]) for each in reply
    )


def _is_information(reply: Any, command: Command) -> bool:
    """Text with the lines that this section must have. The client reads the others."""
    if type(reply) is not bytes:
        return False
    wanted = _INFORMATION.get(_text(command[1]).lower() if len(command) > 1 else "", ())
    return all(_has_number(reply, *each) for each in wanted)


def _has_number(reply: bytes, names: Sequence[bytes], digits_max: int, end: bytes) -> bool:
    """Whether a line of INFO is one of these names and a number, followed by `end` or the end of the line."""
    for line in reply.split(b"\n"):
        name, _, value = line.partition(b":")
        rest = value.lstrip(_DIGITS)
        if (
            name in names
            and 1 <= len(value) - len(rest) <= digits_max
            and (rest == b"\r" or (end and rest.startswith(end)))
        ):
            return True
    return False


_INFORMATION: Final[Mapping[str, Sequence[tuple[Sequence[bytes], int, bytes]]]] = {
    "server": (((b"redis_version", b"valkey_version"), 9, b"."),),
    "memory": (((b"used_memory",), 20, b""), ((b"maxmemory",), 20, b"")),
}
"""Section -> names of a line that it must have, how many digits its number may have, and what may follow that."""


def _is_time(reply: Any, _: Command) -> bool:
    return (
        type(reply) is list
        and len(reply) == 2
        and set(map(type, reply)) == {bytes}
        and all(each.isdigit() and len(each) <= 20 for each in reply)
    )


def _is_type(reply: object, _: Command) -> bool:
    return type(reply) is bytes and reply.isascii()


def _is_hello(reply: object, _: Command) -> bool:
    """A table, which is a flat list before RESP3."""
    return isinstance(reply, dict) or (type(reply) is list and len(reply) % 2 == 0)


def _text(word: object) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


_NONE: Final = type(None)
_OK: Final = _is_word(b"OK")
_COUNTS: Final = ("DBSIZE", "EXISTS", "HLEN", "PTTL", "SCARD", "SINTERCARD", "XLEN", "ZCARD")
_CHANGES: Final = ("COPY", "DEL", "HDEL", "HEXISTS", "HSET", "RENAMENX", "SADD", "SREM", "UNLINK", "ZADD", "ZREM")
SHAPES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("AUTH", "DISCARD", "MSET", "MULTI", "RENAME", "SELECT", "UNWATCH", "WATCH"), _OK),
    **dict.fromkeys(("CLIENT SETINFO", "CLIENT SETNAME"), _OK),
    **dict.fromkeys((*_COUNTS, *_CHANGES, "MSETNX"), _is(int)),
    **dict.fromkeys(("GET", "HGET", "SRANDMEMBER"), _is(bytes, _NONE)),
    **dict.fromkeys(("LRANGE", "ZINTER", "ZRANGE", "ZRANGEBYLEX"), _all(bytes)),
    **dict.fromkeys(("CONFIG GET", "HGETALL"), _is_table),
    **dict.fromkeys(("XRANGE", "XREVRANGE"), _has_entries_at_its_ends),
    "HELLO": _is_hello,
    "HMGET": _one_for_each(bytes, _NONE, names=2),
    "HSCAN": _found(_are_pairs_of_texts, names=2),
    "INFO": _is_information,
    "MEMORY USAGE": _is(int, _NONE),
    "MGET": _one_for_each(bytes, _NONE, names=1),
    "PING": _is(bytes),
    "SCAN": _found(_all(bytes), names=1),
    "SCRIPT LOAD": lambda reply, _: (
        type(reply) is bytes and len(reply) == _HASH_CHARS and not reply.translate(None, _HEX)
    ),
    "SET": _is_word(b"OK", None),  # type: ignore[arg-type]
    "SMISMEMBER": _one_for_each(int, names=2),
    "SSCAN": _found(_all(bytes), names=2),
    **dict.fromkeys(("SDIFF", "SUNION"), _all(bytes, containers=(list, set))),
    "TIME": _is_time,
    "TYPE": _is_type,
    "XINFO STREAM": _is_stream,
    "XREAD": _are_streams,
    "ZMSCORE": _are_scores,
    "ZSCAN": _found(_are_scored, names=2),
}
"""Command -> the shape of its reply. EXEC is left out: its reply depends on the commands that it carries out."""
