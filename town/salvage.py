"""What is left of damaged append-only files: which bytes a server can load, which it cannot, and which events lie where.

After a damage, reading goes on at the next command that is whole. What a server would refuse or read in another way is
left out: broken bytes, commands that do more than change data, halves of transactions, events out of their order. Reads
only; `repair` writes.
"""

from __future__ import annotations

import contextlib
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger import InvalidValueError, Keys, LedgerError, Position, check_town_name, decode_event
from town.aof import AofDamage, AofFile, AofFolder, AofKind, CommandReader
from town.errors import FileDamagedError
from town.foreign_commands import DATA_COMMANDS, is_data_command

_WINDOW_BYTES: Final = 1_048_576
_BEGINNING: Final = re.compile(rb"\*[1-9][0-9]{0,6}\r\n\$[1-9][0-9]?\r\n([A-Za-z]+)\r\n")
_BEGINNING_BYTES_MAX: Final = 48
_FILE_NAME: Final = re.compile(r"appendonly\.aof\.([1-9][0-9]{0,17})\.(base|incr)\.(?:aof|rdb)")
_LEDGER_KEY: Final = re.compile(r"tt:(\{?)([A-Za-z0-9._-]+)(\}?):ledger")
_OWN_KEY: Final = re.compile(rb"tt:\{?[A-Za-z0-9._-]+\}?:(ledger$|heads$|task|view|checkpoint)")
_FIELD: Final = b"event"
_EVENT: Final = re.compile(
    rb"(?P<key>tt:[^\r\n:]{1,70}:ledger).{5,12}?(?P<position>[1-9][0-9]{0,15}-[1-9][0-9]{0,15})"
    rb".{16,40}?(?P<payload>\{\"prev\":[^\r\n]*\})..",
    re.DOTALL,
)
"""An event's key, number and text, and what frames them, whole or not."""
_DIFFERING_BYTES_MAX: Final = 16
_DELETING: Final = frozenset({b"DEL", b"UNLINK", b"RENAME", b"RENAMENX"})
_EMPTYING: Final = frozenset({b"FLUSHALL", b"FLUSHDB"})


class Damage(Struct, frozen=True):
    """Bytes of a file that are left out, from `offset` up to `end`, and why; none where the whole file is missing."""

    file: str
    offset: int
    end: int
    problem: str
    restored: int = 0
    """How many events in it could be restored: their number and text are whole, and only what frames them is not."""
    is_cut_short: bool = False
    """Whether the last file ends within a command or a transaction, as after a power cut: nobody got an answer to it."""


class SalvagedFile(Struct, frozen=True):
    """A file that can be read, and the parts of it that cannot be loaded, in order and apart from each other.

    `restored` are commands that take the place of broken ones: their offsets, which lie in parts left out, and their bytes.
    """

    file: AofFile
    size: int
    left_out: tuple[tuple[int, int], ...]
    restored: tuple[tuple[int, bytes], ...] = ()

    def kept(self) -> Iterator[tuple[int, int] | bytes]:
        """What can be loaded, in order: parts of the file, from an offset to an end, and restored commands."""
        at = 0
        for begin, end in self.left_out:
            if begin > at:
                yield at, begin
            yield from (command for offset, command in self.restored if begin <= offset < end)
            at = end
        if at < self.size:
            yield at, self.size

    def holds(self, offset: int) -> bool:
        """Whether the command at `offset` is kept."""
        index = bisect_left(self.left_out, (offset + 1,))
        is_left_out = index > 0 and offset < self.left_out[index - 1][1]
        return not is_left_out or any(offset == each for each, _ in self.restored)


class Salvage(Struct, frozen=True):
    """The files in the order in which a server loads them, and every damage in that order."""

    files: tuple[SalvagedFile, ...]
    damages: tuple[Damage, ...]
    manifest_problem: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged. An end that is cut short is damage too, of the kind that a server mends as it starts."""
        return not self.damages and self.manifest_problem is None

    @property
    def bytes_left_out(self) -> int:
        return sum(end - begin for each in self.files for begin, end in each.left_out)


class FoundEvent(NamedTuple):
    """An event of a town's ledger that was read behind the first damage, and whether it is kept in its place."""

    key: str
    position: Position
    payload: bytes
    is_kept: bool


class _Whole(NamedTuple):
    """A command; `restored` are its bytes where those in the file are broken."""

    offset: int
    end: int
    arguments: list[bytes]
    restored: bytes | None = None


class _Ledger:
    """The events of one ledger, as they follow one another in the files: three numbers and a place for each."""

    def __init__(self) -> None:
        self.ms, self.seq, self.offset, self.end, self.file = (array("Q") for _ in range(5))
        self.restored: list[int] = []

    def add(self, position: Position, command: _Whole, file: int) -> None:
        if command.restored is not None:
            self.restored.append(len(self.seq))
        for column, value in (
            (self.ms, position.ms),
            (self.seq, position.seq),
            (self.offset, command.offset),
            (self.end, command.end),
            (self.file, file),
        ):
            column.append(value)

    def out_of_order(self) -> Iterator[int]:
        """The fewest that have to go so that the others go up, as a server demands of a stream."""
        # By number, which has no gaps, and by time before number, which is how a server compares: each wants its rise.
        orders = list(zip(self.ms, self.seq, strict=True))
        restored = set(self.restored)
        kept = _longest_rise(self.seq, [index for index in range(len(orders)) if index not in restored])
        kept = list(_longest_rise(orders, kept))
        # One that was restored takes nobody's place.
        for index in self.restored:
            place = bisect_left(kept, index)
            neighbours = [*kept[place - 1 : place], index, *kept[place : place + 1]]
            if all(
                self.seq[one] < self.seq[other] and self.ms[one] <= self.ms[other]
                for one, other in pairwise(neighbours)
            ):
                kept.insert(place, index)
        if len(kept) < len(orders):
            rising = set(kept)
            yield from (index for index in range(len(orders)) if index not in rising)


class _Finder:
    """Goes through the files once, and notes what has to be left out."""

    def __init__(self) -> None:
        self.damages: list[Damage] = []
        self.left_out: list[list[tuple[int, int]]] = []
        self.restored: list[dict[int, bytes]] = []
        self._ledgers: dict[tuple[int, bytes], _Ledger] = {}

    def read(self, folder: AofFolder, file: AofFile, *, is_last: bool) -> int:
        """Read a file of the manifest; its size."""
        self.left_out.append([])
        self.restored.append({})
        with folder.opened(file.name) as descriptor:
            size = os.fstat(descriptor).st_size
            begun: tuple[int, int] | None = None
            database = 0
            for item in _scan(descriptor, file.name):
                if isinstance(item, Damage):
                    self._leave_out_damage(item, begun, is_last=is_last)
                    begun = None
                    continue
                if item.restored is not None:
                    self.restored[-1][item.offset] = item.restored
                name = item.arguments[0].upper()
                if name == b"MULTI":
                    self._leave_out(begun)
                    begun = item.offset, item.end
                elif name == b"EXEC":
                    if begun is None:
                        self._leave_out((item.offset, item.end))
                    begun = None
                elif name == b"SELECT":
                    database = int(item.arguments[1]) if item.arguments[1].isdigit() else 0
                else:
                    self._note(item, name, database)
            if begun is not None and is_last:
                damage = Damage(file.name, begun[0], size, "the file ends within a transaction", is_cut_short=True)
                self._leave_out_damage(damage, begun, is_last=True)
            else:
                self._leave_out(begun)
        return size

    def leave_out_disorder(self, files: Sequence[AofFile]) -> None:
        """Leave out the events that a server would refuse because of those before them, or that make it refuse others."""
        for ledger in self._ledgers.values():
            for index in ledger.out_of_order():
                file, begin, end = ledger.file[index], ledger.offset[index], ledger.end[index]
                self.restored[file].pop(begin, None)
                if not any(first <= begin < last for first, last in self.left_out[file]):
                    words = f"the event {ledger.ms[index]}-{ledger.seq[index]} stands out of its order"
                    self.damages.append(Damage(files[file].name, begin, end, words))
                    self.left_out[file].append((begin, end))

    def _leave_out_damage(self, damage: Damage, begun: tuple[int, int] | None, *, is_last: bool) -> None:
        """Leave out damage, and of the transaction around it the frame, so that what else it holds is loaded."""
        if damage.is_cut_short and not is_last:
            damage = Damage(damage.file, damage.offset, damage.end, damage.problem, damage.restored)
        self.damages.append(damage)
        begin = damage.offset
        if damage.is_cut_short and begun is not None:
            # All or nothing: a server drops the whole transaction too.
            begin = begun[0]
        else:
            self._leave_out(begun)
        self._leave_out((begin, damage.end))

    def _leave_out(self, part: tuple[int, int] | None) -> None:
        if part is not None:
            self.left_out[-1].append(part)

    def _note(self, command: _Whole, name: bytes, database: int) -> None:
        """Keep an event's place; forget those of a ledger that was deleted on purpose."""
        if name in _EMPTYING:
            self._ledgers.clear()
        elif name in _DELETING:
            for key in command.arguments[1:]:
                self._ledgers.pop((database, key), None)
        else:
            event = _event_of(command.arguments)
            if event is not None:
                ledger = self._ledgers.setdefault((database, command.arguments[1]), _Ledger())
                ledger.add(event[1], command, len(self.left_out) - 1)


def salvage(folder: AofFolder) -> Salvage:
    """Read all files of a town's server as far as they can be read. FileDamagedError where one is a link or no file."""
    files, manifest_problem = _files(folder)
    finder = _Finder()
    found: list[tuple[AofFile, int]] = []
    for file in files:
        try:
            found.append((file, finder.read(folder, file, is_last=file is files[-1])))
        except FileDamagedError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            finder.left_out.pop()
            finder.restored.pop()
            finder.damages.append(Damage(file.name, 0, 0, error.problem))
    finder.leave_out_disorder([file for file, _ in found])
    salvaged = tuple(
        SalvagedFile(file, size, tuple(_united(parts)), tuple(sorted(restored.items())))
        for (file, size), parts, restored in zip(found, finder.left_out, finder.restored, strict=True)
    )
    order = {file.name: number for number, file in enumerate(files)}
    damages = sorted(finder.damages, key=lambda each: (order[each.file], each.offset))
    return Salvage(salvaged, tuple(damages), manifest_problem)


def commands_behind(
    folder: AofFolder, found: Salvage
) -> Iterator[tuple[SalvagedFile, tuple[int, int] | bytes, FoundEvent | None]]:
    """Every command that is whole or restored, from the first damage on, in order, and the event that it appends.

    A command is a part of its file, or its bytes where they were restored.
    """
    if not found.damages:
        return
    first = found.damages[0]
    names = [each.file.name for each in found.files]
    # A file that is missing has nothing before its damage; what follows it lies behind.
    begin = names.index(first.file) if first.file in names else 0
    for index, each in enumerate(found.files[begin:]):
        with folder.opened(each.file.name) as descriptor:
            for item in _scan(descriptor, each.file.name):
                if isinstance(item, Damage) or (index == 0 and first.file in names and item.offset < first.offset):
                    continue
                event = _event_of(item.arguments)
                is_kept = each.holds(item.offset)
                place = (item.offset, item.end) if item.restored is None else item.restored
                yield each, place, None if event is None else FoundEvent(*event, item.arguments[4], is_kept)


def keys_of_ledger(key: bytes) -> Keys | None:
    """The town whose ledger this key is; None where it is no ledger's."""
    with contextlib.suppress(UnicodeDecodeError, InvalidValueError):
        found = _LEDGER_KEY.fullmatch(key.decode())
        if found is not None and (found[1] == "{") == (found[3] == "}"):
            return Keys(check_town_name(found[2]), hash_tag=bool(found[1]))
    return None


def _files(folder: AofFolder) -> tuple[list[AofFile], str | None]:
    """What the manifest lists; where it cannot be read, what the names in the folder tell, and why."""
    try:
        return [each for each in folder.read_manifest() if each.kind is not AofKind.HISTORY], None
    except FileDamagedError as error:
        problem = error.problem
    bases: list[AofFile] = []
    increments: list[AofFile] = []
    for name in folder.names():
        found = _FILE_NAME.fullmatch(name)
        if found is not None:
            kind = AofKind.BASE if found[2] == "base" else AofKind.INCREMENT
            (bases if kind is AofKind.BASE else increments).append(AofFile(name, int(found[1]), kind))
    # An earlier base is one that the server was about to delete: what it holds is in the later one.
    base = [max(bases, key=lambda each: each.seq)] if bases else []
    return [*base, *sorted(increments, key=lambda each: each.seq)], problem


def _scan(descriptor: int, name: str) -> Iterator[_Whole | Damage]:
    """The whole commands of a file that a server may run, and what lies between them; damage is one piece up to the next command."""
    pending: Damage | None = None
    at, size = 0, os.fstat(descriptor).st_size
    while at < size:
        reader = CommandReader(descriptor, name, start=at)
        if reader.is_rdb:
            return
        damage: AofDamage | None = None
        for offset, arguments in reader:
            if _has_swallowed(arguments):
                damage = AofDamage(name, offset, "an argument holds other commands: its length is wrong")
                break
            problem = _problem_of(arguments)
            if problem is None:
                if pending is not None:
                    yield from _told(descriptor, pending)
                    pending = None
                yield _Whole(offset, reader.end, arguments)
            else:
                pending = _joined(pending, Damage(name, offset, reader.end, problem))
        at = size
        damage = damage or reader.damage
        if damage is not None:
            at = _find_command(descriptor, name, damage.offset + 1, size)
            is_cut_short = damage.is_cut_short and at == size and pending is None
            pending = _joined(pending, Damage(name, damage.offset, at, damage.problem, is_cut_short=is_cut_short))
    if pending is not None:
        yield from _told(descriptor, pending)


def _told(descriptor: int, damage: Damage) -> Iterator[Damage | _Whole]:
    """The damage, and behind it the events in it that could be restored."""
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
        yield _Whole(begin, begin, arguments, encode_command(arguments))


def _restore(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The events in broken bytes whose key, number and text are whole, each in its place, and only lengths and names around them are not.

    The text is whole where it is an event that can be decoded; that its number fits is seen where its order is.
    """
    for found in _EVENT.finditer(content):
        key, place, payload = found["key"], found["position"], found["payload"]
        arguments = [b"XADD", key, place, _FIELD, payload]
        command = encode_command(arguments)
        begin = found.end("payload") + 2 - len(command)
        if begin < 0 or found.end() - found.end("payload") != 2 or _event_of(arguments) is None:
            continue
        differing = sum(one != other for one, other in zip(content[begin:], command, strict=False))
        try:
            decode_event(place, [_FIELD, payload])
        except LedgerError:
            continue
        if differing <= _DIFFERING_BYTES_MAX:
            yield begin, arguments


def _has_swallowed(arguments: list[bytes]) -> bool:
    """Whether a command of the ledger holds line ends: it never does, so a wrong length made it take in what follows.

    Other programs' values may hold anything; a task's hash is one of Tinytown's.
    """
    if len(arguments) < 2 or not any(b"\r\n" in argument for argument in arguments):
        return False
    found = _OWN_KEY.match(arguments[1])
    return found is not None and not (found[1] == b"task" and arguments[0].upper() in (b"HSET", b"HMSET"))


def _problem_of(arguments: list[bytes]) -> str | None:
    """Why a whole command is not one that a town's server may load; None where it is."""
    if not is_data_command(arguments):
        is_known = arguments[0].upper() in DATA_COMMANDS
        return "a command with too few arguments" if is_known else "no command that changes data"
    if arguments[0].upper() == b"XADD" and _LEDGER_KEY.fullmatch(arguments[1].decode("latin-1")):
        return None if _event_of(arguments) else "an entry of a ledger that is no event"
    return None


def encode_command(arguments: Sequence[bytes]) -> bytes:
    """A command in the form that a server writes."""
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in arguments)


def _joined(before: Damage | None, damage: Damage) -> Damage:
    return damage if before is None else Damage(before.file, before.offset, damage.end, before.problem)


def _find_command(descriptor: int, name: str, begin: int, size: int) -> int:
    """Where the next whole command begins that a server may run; `size` where there is none."""
    at = begin
    while at < size:
        window = os.pread(descriptor, _WINDOW_BYTES + _BEGINNING_BYTES_MAX, at)
        if not window:
            return size
        for found in _BEGINNING.finditer(window):
            if found.start() >= _WINDOW_BYTES:
                break
            # Looked up before the rest is read: most of what looks like a beginning is none.
            if not is_data_command([found[1]] * 100):
                continue
            command = next(iter(CommandReader(descriptor, name, start=at + found.start())), None)
            if command is not None and is_data_command(command.arguments):
                return command.offset
        at += min(_WINDOW_BYTES, len(window))
    return size


def _event_of(arguments: list[bytes]) -> tuple[str, Position] | None:
    """The key and the position of the event that a command appends to a town's ledger; None for other commands."""
    if len(arguments) != 5 or arguments[3] != _FIELD or arguments[0].upper() != b"XADD":
        return None
    try:
        key, position = arguments[1].decode(), Position.parse(arguments[2].decode("ascii"))
    except ValueError:
        return None
    return (key, position) if _LEDGER_KEY.fullmatch(key) else None


def _longest_rise(orders: Sequence[Any], indexes: Sequence[int]) -> Sequence[int]:
    """Of these indexes, a longest selection whose orders rise strictly."""
    if all(orders[one] < orders[other] for one, other in pairwise(indexes)):
        return indexes
    ends: list[Any] = []
    last: list[int] = []
    before = array("q", bytes(8 * len(orders)))
    for index in indexes:
        order = orders[index]
        length = bisect_left(ends, order)
        before[index] = last[length - 1] if length else -1
        if length == len(ends):
            ends.append(order)
            last.append(index)
        else:
            ends[length], last[length] = order, index
    kept = []
    index = last[-1] if last else -1
    while index >= 0:
        kept.append(index)
        index = before[index]
    return kept[::-1]


def _united(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts in order; those that meet or overlap as one."""
    united: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((begin, end))
    return united
