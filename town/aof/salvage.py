"""What can be saved of damaged append-only files: the bytes that a server can load, and the place of each event.

`damage_scan` finds what is intact in each file. This room also leaves out what a server would refuse because of its
surroundings: halves of transactions, and events out of order. Reads only; `repair` writes.
"""

from __future__ import annotations

import contextlib
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger import InvalidValueError, Keys, Position, check_town_name
from town.aof.damage_scan import LEDGER_KEY, Damage, WholeCommand, encode_command, event_of, scan
from town.aof.format import AofFile, AofFolder, AofKind, CommandReader
from town.errors import FileDamagedError

_FILE_NAME: Final = re.compile(r"appendonly\.aof\.([1-9][0-9]{0,17})\.(base|incr)\.(?:aof|rdb)")
EVENT_BYTES_MIN: Final = 100
"""An event with its command is longer, so smaller damage held no event."""
_KNOWN_EVENTS_MIN: Final = 4
_ALTERED_BYTES_MAX: Final = 2
_DELETING: Final = frozenset({b"DEL", b"UNLINK", b"RENAME", b"RENAMENX"})
_EMPTYING: Final = frozenset({b"FLUSHALL", b"FLUSHDB"})
_NOTED: Final = frozenset({b"XADD", b"MULTI", b"EXEC", b"SELECT", *_DELETING, *_EMPTYING})
"""The commands that say what a file holds, or that frame others."""


class SalvagedFile(Struct, frozen=True):
    """A readable file, and its parts that cannot be loaded, in order and disjoint.

    `restored` are commands that replace broken ones: their offsets, which lie in parts left out, and their arguments.
    `whole` are the parts that could be read. `remade` are all commands that could be restored, kept or not.
    """

    file: AofFile
    size: int
    left_out: tuple[tuple[int, int], ...]
    restored: tuple[tuple[int, tuple[bytes, ...]], ...]
    whole: tuple[tuple[int, int], ...]
    remade: tuple[tuple[int, tuple[bytes, ...]], ...]

    def kept(self) -> Iterator[tuple[int, int] | bytes]:
        """What can be loaded, in order: parts of the file, from an offset to an end, and restored commands."""
        at = 0
        for begin, end in self.left_out:
            if begin > at:
                yield at, begin
            yield from (encode_command(command) for offset, command in self.restored if begin <= offset < end)
            at = end
        if at < self.size:
            yield at, self.size

    def readable(self, begin: int) -> Iterator[tuple[int, int] | bytes]:
        """All that could be read from `begin` on, in order, loadable or not: parts of the file, and restored commands."""
        parts: list[tuple[int, tuple[int, int] | bytes]] = [
            (max(first, begin), (max(first, begin), end)) for first, end in self.whole if end > begin
        ]
        parts += [(offset, encode_command(command)) for offset, command in self.remade if offset >= begin]
        yield from (part for _, part in sorted(parts, key=lambda each: each[0]))

    def holds(self, offset: int) -> bool:
        """Whether the command at `offset` is kept."""
        index = bisect_left(self.left_out, (offset + 1,))
        is_left_out = index > 0 and offset < self.left_out[index - 1][1]
        return not is_left_out or any(offset == each for each, _ in self.restored)


class Salvage(Struct, frozen=True):
    """The files in the order in which a server loads them, and every damage in that order.

    The first damage is at offset `first[1]` of the file with index `first[0]`; `commands_behind` counts the readable
    commands behind it.
    """

    files: tuple[SalvagedFile, ...]
    damages: tuple[Damage, ...]
    manifest_problem: str | None
    first: tuple[int, int]
    commands_behind: int
    events: tuple[tuple[int, int, int], ...]
    """The places of the events read behind the first damage, in order: index of the file, offset and end."""
    is_binary: bool
    """Whether one of the files is in the server's binary format, which only a server can read."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged. An end that is cut short counts as damage, though a server mends it at its start."""
        return not self.damages and self.manifest_problem is None

    @property
    def is_end_known(self) -> bool:
        """Whether an event follows every damage that may have held one.

        Without it, nothing shows what the ledger's end lost.
        """
        index = {each.file.name: number for number, each in enumerate(self.files)}
        last = max(self.events, default=(-1, 0, 0))
        return all(
            (index[each.file], each.offset) < last[:2]
            for each in self.damages
            if each.file in index and each.end - each.offset >= EVENT_BYTES_MIN
        ) and all(each.file in index or self.events for each in self.damages)

    @property
    def bytes_left_out(self) -> int:
        return sum(end - begin for each in self.files for begin, end in each.left_out)


class FoundEvent(NamedTuple):
    """An event of a town's ledger that was read behind the first damage, and whether it is kept in its place."""

    key: str
    position: Position
    payload: bytes
    is_kept: bool


def salvage(folder: AofFolder, *, refused: str | None = None) -> Salvage:
    """Read all files of a town's server as far as possible. FileDamagedError if one is a link or not a file.

    It takes a file in the server's binary format as intact; `refused` has the server's message if it does not load one.
    """
    files, manifest_problem = _files(folder)
    finder = _Finder(refused)
    for file in files:
        finder.read(folder, file, is_last=file is files[-1])
    remade = [_sorted_items(each.restored) for each in finder.notes]
    finder.leave_out_disorder()
    order = {file.name: number for number, file in enumerate(files)}
    first = min(finder.firsts, default=(len(finder.notes), 0, 0))
    return Salvage(
        tuple(
            SalvagedFile(
                each.file,
                each.size,
                left_out=tuple(_united(each.left_out)),
                restored=_sorted_items(each.restored),
                whole=tuple(each.whole),
                remade=remade[index],
            )
            for index, each in enumerate(finder.notes)
        ),
        tuple(sorted(finder.damages, key=lambda each: (order[each.file], each.offset))),
        manifest_problem,
        first=first[:2],
        commands_behind=sum(each.commands for each in finder.notes[first[0] :]) - first[2],
        events=tuple(sorted(each for each in finder.places() if each >= first[:2])),
        is_binary=finder.is_binary,
    )


def is_cut_short_only(data: Path) -> bool:
    """Whether the only damage in the data folder is the end of the last file, with no intact command behind it."""
    try:
        with AofFolder(data) as folder:
            found = salvage(folder)
    except FileDamagedError:
        return False
    return found.manifest_problem is None and [each.is_cut_short for each in found.damages] == [True]


def events_behind(folder: AofFolder, found: Salvage) -> Iterator[FoundEvent]:
    """The events read from the first damage on, in order, kept or not."""
    for index, places in groupby(found.events, key=lambda each: each[0]):
        each = found.files[index]
        remade = dict(each.remade)
        with folder.opened(each.file.name) as descriptor:
            for _, offset, end in places:
                if offset == end:
                    arguments: Sequence[bytes] = remade[offset]
                else:
                    reader = CommandReader(descriptor, each.file.name, start=offset, upto=end)
                    arguments = next(iter(reader)).arguments
                event = event_of(arguments)
                assert event is not None
                yield FoundEvent(*event, arguments[4], each.holds(offset))


def keys_of_ledger(key: bytes) -> Keys | None:
    """The town whose ledger this key is; None if it is not a ledger's key."""
    with contextlib.suppress(UnicodeDecodeError, InvalidValueError):
        found = LEDGER_KEY.fullmatch(key.decode())
        if found is not None and (found[1] == "{") == (found[3] == "}"):
            return Keys(check_town_name(found[2]), hash_tag=bool(found[1]))
    return None


class _Notes:
    """The findings in one file."""

    def __init__(self, file: AofFile, size: int) -> None:
        self.file = file
        self.size = size
        self.left_out: list[tuple[int, int]] = []
        self.whole: list[tuple[int, int]] = []
        self.restored: dict[int, tuple[bytes, ...]] = {}
        self.commands = 0
        """How many commands could be read."""
        self.database = 0
        self.begun: tuple[int, int] | None = None
        """The MULTI of a transaction that has not ended yet, and the number of `commands` before it."""
        self.commands_before_begun = 0

    def add(self, command: WholeCommand) -> None:
        self.commands += 1
        if command.is_restored:
            self.restored[command.offset] = tuple(command.arguments)
        elif self.whole and self.whole[-1][1] == command.offset:
            self.whole[-1] = self.whole[-1][0], command.end
        else:
            self.whole.append((command.offset, command.end))

    def begin_transaction(self, command: WholeCommand) -> None:
        self.leave_out_begun()
        self.begun, self.commands_before_begun = (command.offset, command.end), self.commands - 1

    def end_transaction(self, command: WholeCommand) -> None:
        if self.begun is None:
            self.left_out.append((command.offset, command.end))
        self.begun = None

    def leave_out_begun(self) -> None:
        """Leave out the MULTI of a transaction that does not end, so that its commands are loaded."""
        if self.begun is not None:
            self.left_out.append(self.begun)
        self.begun = None


class _Finder:
    """Goes through the files once and notes what to leave out."""

    def __init__(self, refused: str | None) -> None:
        self._refused = refused
        self.is_binary = False
        self.notes: list[_Notes] = []
        self.damages: list[Damage] = []
        self.firsts: list[tuple[int, int, int]] = []
        """For each damage: the index of its file, its offset, and the number of commands before it in the file."""
        self._ledgers: dict[tuple[int, bytes], _Ledger] = {}
        self._deleted: list[_Ledger] = []

    def read(self, folder: AofFolder, file: AofFile, *, is_last: bool) -> None:
        """Read a file of the manifest, or note that it is missing."""
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(folder.opened(file.name))
            except FileDamagedError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                self.firsts.append((len(self.notes), 0, 0))
                self.damages.append(Damage(file.name, 0, 0, error.problem))
                return
            size = os.fstat(descriptor).st_size
            if CommandReader(descriptor, file.name).is_rdb:
                self.is_binary = True
                if self._refused is not None:
                    self.firsts.append((len(self.notes), 0, 0))
                    self.damages.append(Damage(file.name, 0, size, self._refused))
                    return
            notes = _Notes(file, size)
            self.notes.append(notes)
            for item in scan(descriptor, file.name):
                if isinstance(item, Damage):
                    self._leave_out(notes, item, is_last=is_last)
                else:
                    notes.add(item)
                    self._note(notes, item)
            if notes.begun is not None and is_last:
                words = "the file ends within a transaction"
                damage = Damage(file.name, notes.begun[0], size, words, is_cut_short=True)
                self._leave_out(notes, damage, is_last=True)
            notes.leave_out_begun()

    def leave_out_disorder(self) -> None:
        """Leave out events that a server would refuse because of earlier ones, or that make it refuse later ones."""
        for ledger in self._ledgers.values():
            for index in ledger.out_of_order():
                file, begin, end = ledger.file[index], ledger.offset[index], ledger.end[index]
                notes = self.notes[file]
                notes.restored.pop(begin, None)
                if not any(first <= begin < last for first, last in notes.left_out):
                    words = f"the event {ledger.ms[index]}-{ledger.seq[index]} stands out of its order"
                    self.damages.append(Damage(notes.file.name, begin, end, words))
                    self.firsts.append((file, begin, ledger.before[index]))
                    notes.left_out.append((begin, end))

    def places(self) -> Iterator[tuple[int, int, int]]:
        """The place of every event: the index of its file, its offset and its end."""
        for ledger in (*self._ledgers.values(), *self._deleted):
            yield from zip(ledger.file, ledger.offset, ledger.end, strict=True)

    def _leave_out(self, notes: _Notes, damage: Damage, *, is_last: bool) -> None:
        """Leave out damage and the frame of a transaction around it, so that the other commands in it are loaded."""
        begin, before = damage.offset, notes.commands
        is_cut_short = damage.is_cut_short and is_last
        if is_cut_short and notes.begun is not None:
            # A server drops the whole transaction too: all or nothing.
            begin, before = notes.begun[0], notes.commands_before_begun
            notes.begun = None
        notes.leave_out_begun()
        notes.left_out.append((begin, damage.end))
        self.firsts.append((len(self.notes) - 1, begin, before))
        self.damages.append(
            Damage(damage.file, begin, damage.end, damage.problem, damage.restored, is_cut_short=is_cut_short)
        )

    def _note(self, notes: _Notes, command: WholeCommand) -> None:
        """Keep an event's place. Events of a ledger that was deleted on purpose have no order any more."""
        arguments = command.arguments
        name = arguments[0].upper()
        if name not in _NOTED:
            return
        if name == b"XADD":
            event = event_of(arguments)
            if event is not None:
                command, key = self._with_right_key(notes, command, event[1])
                ledger = self._ledgers.setdefault((notes.database, key), _Ledger())
                ledger.add(event[1], command, file=len(self.notes) - 1, before=notes.commands - 1)
        elif name == b"MULTI":
            notes.begin_transaction(command)
        elif name == b"EXEC":
            notes.end_transaction(command)
        elif name == b"SELECT":
            notes.database = int(arguments[1]) if arguments[1].isdigit() else 0
        else:
            deleted = list(self._ledgers) if name in _EMPTYING else [(notes.database, key) for key in arguments[1:]]
            self._deleted += [self._ledgers.pop(key) for key in deleted if key in self._ledgers]

    def _with_right_key(self, notes: _Notes, command: WholeCommand, position: Position) -> tuple[WholeCommand, bytes]:
        """The command that appends an event, and its ledger's key.

        A damaged key is corrected if the event continues that ledger. Otherwise a single altered character would turn
        an intact event into the only one of another town.
        """
        key = command.arguments[1]
        if (notes.database, key) in self._ledgers or position.seq == 1 or command.is_restored:
            return command, key
        for (database, other), ledger in self._ledgers.items():
            if database == notes.database and ledger.goes_on_with(position) and _differs_little(key, other):
                arguments = [command.arguments[0], other, *command.arguments[2:]]
                words = "the name of an event's ledger is altered"
                damage = Damage(notes.file.name, command.offset, command.end, words, restored=1)
                self.damages.append(damage)
                self.firsts.append((len(self.notes) - 1, damage.offset, notes.commands - 1))
                notes.left_out.append((damage.offset, damage.end))
                notes.restored[damage.offset] = tuple(arguments)
                return WholeCommand(damage.offset, damage.offset, arguments, is_restored=True), other
        return command, key


class _Ledger:
    """The events of one ledger in the order of the files: two numbers and a place for each."""

    def __init__(self) -> None:
        self.ms, self.seq, self.offset, self.end, self.file, self.before = (array("Q") for _ in range(6))
        self.restored: list[int] = []

    def add(self, position: Position, command: WholeCommand, *, file: int, before: int) -> None:
        """Add an event; `before` counts the commands before it in its file."""
        if command.is_restored:
            self.restored.append(len(self.seq))
        for column, value in (
            (self.ms, position.ms),
            (self.seq, position.seq),
            (self.offset, command.offset),
            (self.end, command.end),
            (self.file, file),
            (self.before, before),
        ):
            column.append(value)

    def goes_on_with(self, position: Position) -> bool:
        """Whether this would be the ledger's next event. The ledger must have some, so that its name is certain."""
        return len(self.seq) >= _KNOWN_EVENTS_MIN and position.seq == self.seq[-1] + 1 and position.ms >= self.ms[-1]

    def out_of_order(self) -> Iterator[int]:
        """The fewest events to remove so that the others ascend, as a server demands of a stream."""
        # Both must ascend: the number, which has no gaps, and (time, number), by which a server compares.
        orders = list(zip(self.ms, self.seq, strict=True))
        restored = set(self.restored)
        kept = _longest_rise(self.seq, [index for index in range(len(orders)) if index not in restored])
        kept = list(_longest_rise(orders, kept))
        # A restored event never displaces another one.
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


def _files(folder: AofFolder) -> tuple[list[AofFile], str | None]:
    """The files of the manifest. If it cannot be read: the files by their names in the folder, and the reason."""
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
    # The server was about to delete an earlier base: the later one has its content.
    base = [max(bases, key=lambda each: each.seq)] if bases else []
    return [*base, *sorted(increments, key=lambda each: each.seq)], problem


def _longest_rise(orders: Sequence[Any], indexes: Sequence[int]) -> Sequence[int]:
    """A longest selection of these indexes whose orders ascend strictly."""
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


def _differs_little(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= _ALTERED_BYTES_MAX


def _sorted_items(found: dict[int, tuple[bytes, ...]]) -> tuple[tuple[int, tuple[bytes, ...]], ...]:
    return tuple(sorted(found.items()))


def _united(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts in order, with adjoining and overlapping ones merged."""
    united: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((begin, end))
    return united
