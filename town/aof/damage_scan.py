"""The intact commands of a damaged append-only file in order, and the damage between them. Reads only.

After damage, reading goes on at the next intact command. Whatever a server would refuse or read differently counts as
damage too: broken bytes, commands that do more than change data, commands that have swallowed others. If only the frame
of an event is broken, the event is put together again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from ledger import LedgerError, Position, decode_event
from town.aof.foreign_commands import DATA_COMMANDS, FIXED_COMMANDS, is_data_command
from town.aof.format import AofDamage, CommandReader

_WINDOW_BYTES: Final = 1_048_576
_BEGINNING: Final = re.compile(rb"\*[1-9][0-9]{0,6}\r\n\$[1-9][0-9]?\r\n([A-Za-z]+)\r\n")
_BEGINNING_BYTES_MAX: Final = 48
LEDGER_KEY: Final = re.compile(r"tt:(\{?)([A-Za-z0-9._-]+)(\}?):ledger")
_OWN_KEY: Final = re.compile(rb"tt:\{?[A-Za-z0-9._-]+\}?:(ledger$|heads$|task|view|checkpoint)")
_FIELD: Final = b"event"
_EVENT: Final = re.compile(
    rb"(?P<key>tt:[^\r\n:]{1,70}:ledger).{5,12}?(?P<position>[1-9][0-9]{0,15}-[1-9][0-9]{0,15})"
    rb".{16,40}?(?P<payload>\{\"prev\":[^\r\n]*\})..",
    re.DOTALL,
)
"""An event's key, number and text, and what frames them, intact or not."""
_DIFFERING_BYTES_MAX: Final = 16


class Damage(Struct, frozen=True):
    """Bytes of a file that are left out, from `offset` up to `end`, and why. Empty if the whole file is missing."""

    file: str
    offset: int
    end: int
    problem: str
    restored: int = 0
    """How many of its events could be restored: their number and text are intact, and only their frame is broken."""
    is_cut_short: bool = False
    """Whether the last file ends inside a command or a transaction, as after a power cut: no client got a reply to it."""


class WholeCommand(NamedTuple):
    """A command. A restored one ends where it begins, because its bytes in the file are broken."""

    offset: int
    end: int
    arguments: list[bytes]
    is_restored: bool = False


def scan(descriptor: int, name: str) -> Iterator[WholeCommand | Damage]:
    """The intact commands that a server may run, and what lies between them.

    Damage is one piece up to the next command.
    """
    pending: Damage | None = None
    at, size = 0, os.fstat(descriptor).st_size
    while at < size:
        reader = CommandReader(descriptor, name, start=at)
        if reader.is_rdb:
            return
        damage: AofDamage | None = None
        for offset, arguments in reader:
            # A quick check of all arguments at once first: few commands have this.
            if b"\r\n" in b"".join(arguments) and _has_swallowed(arguments):
                damage = AofDamage(name, offset, "an argument holds other commands: its length is wrong")
                break
            problem = _problem_of(arguments)
            if problem is None:
                if pending is not None:
                    yield from _told(descriptor, pending)
                    pending = None
                yield WholeCommand(offset, reader.end, arguments)
            else:
                pending = _joined(pending, Damage(name, offset, reader.end, problem))
        at = size
        damage = damage or reader.damage
        if damage is not None:
            at = _find_command(descriptor, name, damage.offset + 1, size)
            is_cut_short = damage.is_cut_short and at == size and pending is None
            # A command that seems to go on past the file's end, with commands behind it, only has a wrong length.
            words = "a length is wrong" if damage.is_cut_short and at < size else damage.problem
            pending = _joined(pending, Damage(name, damage.offset, at, words, is_cut_short=is_cut_short))
    if pending is not None:
        yield from _told(descriptor, pending)


def encode_command(arguments: Sequence[bytes]) -> bytes:
    """A command in the form that a server writes."""
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in arguments)


def event_of(arguments: Sequence[bytes]) -> tuple[str, Position] | None:
    """The key and the position of the event that a command appends to a town's ledger; None for other commands."""
    if len(arguments) != 5 or arguments[3] != _FIELD or arguments[0].upper() != b"XADD":
        return None
    try:
        key, position = arguments[1].decode(), Position.parse(arguments[2].decode("ascii"))
    except ValueError:
        return None
    return (key, position) if LEDGER_KEY.fullmatch(key) else None


def _told(descriptor: int, damage: Damage) -> Iterator[Damage | WholeCommand]:
    """The damage, followed by those of its events that could be restored."""
    restored = list(_restore(os.pread(descriptor, min(damage.end - damage.offset, _WINDOW_BYTES), damage.offset)))
    yield Damage(
        damage.file,
        damage.offset,
        damage.end,
        damage.problem,
        len(restored),
        is_cut_short=damage.is_cut_short and not restored,
    )
    for offset, arguments in restored:
        begin = damage.offset + offset
        yield WholeCommand(begin, begin, arguments, is_restored=True)


def _restore(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The events in broken bytes whose key, number and text are intact, each in its place.

    Only the lengths and names around them are broken. The text is intact if it decodes as an event. The check of the
    order shows whether the number fits.
    """
    for found in _EVENT.finditer(content):
        key, place, payload = found["key"], found["position"], found["payload"]
        arguments = [b"XADD", key, place, _FIELD, payload]
        command = encode_command(arguments)
        begin = found.end("payload") + 2 - len(command)
        if begin < 0 or found.end() - found.end("payload") != 2 or event_of(arguments) is None:
            continue
        differing = sum(one != other for one, other in zip(content[begin:], command, strict=False))
        try:
            decode_event(place, [_FIELD, payload])
        except LedgerError:
            continue
        if differing <= _DIFFERING_BYTES_MAX:
            yield begin, arguments


def _has_swallowed(arguments: list[bytes]) -> bool:
    """Whether a command of the ledger holds line ends.

    An intact one never does: a wrong length made it swallow what follows. Values of other programs may hold anything; a
    task's hash is one of Tinytown's.
    """
    if len(arguments) < 2 or not any(b"\r\n" in argument for argument in arguments):
        return False
    found = _OWN_KEY.match(arguments[1])
    return found is not None and not (found[1] == b"task" and arguments[0].upper() in (b"HSET", b"HMSET"))


def _problem_of(arguments: list[bytes]) -> str | None:
    """Why a town's server must not load an intact command; None if it may."""
    name = arguments[0]
    fewest = DATA_COMMANDS.get(name) or DATA_COMMANDS.get(name.upper())
    if fewest is None:
        return "no command that changes data"
    if len(arguments) < fewest:
        return "a command with too few arguments"
    if len(arguments) > fewest and name.upper() in FIXED_COMMANDS:
        return "a command with too many arguments"
    if len(name) == 4 and name.upper() == b"XADD" and LEDGER_KEY.fullmatch(arguments[1].decode("latin-1")):
        return None if event_of(arguments) else "an entry of a ledger that is not an event"
    return None


def _joined(before: Damage | None, damage: Damage) -> Damage:
    return damage if before is None else Damage(before.file, before.offset, damage.end, before.problem)


def _find_command(descriptor: int, name: str, begin: int, size: int) -> int:
    """Where the next intact command begins that a server may run; `size` if there is none."""
    at = begin
    while at < size:
        window = os.pread(descriptor, _WINDOW_BYTES + _BEGINNING_BYTES_MAX, at)
        if not window:
            return size
        for found in _BEGINNING.finditer(window):
            if found.start() >= _WINDOW_BYTES:
                break
            # Check this before reading the rest: most of what looks like a beginning is not one.
            if not is_data_command([found[1]] * 100):
                continue
            command = next(iter(CommandReader(descriptor, name, start=at + found.start())), None)
            if command is not None and is_data_command(command.arguments):
                return command.offset
        at += min(_WINDOW_BYTES, len(window))
    return size
