"""Examines each town of a loaded repaired copy, and puts right what follows from its events.

Heads are made to match the ledger. Snapshots and views are rebuilt if no event is lost. Otherwise they stay as they
are: they may be the last trace of a lost event. The number of a lost event is never used again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from ledger import BEGINNING, Keys, LedgerError, Position, redis_errors
from projections import Finding, Rebuild, new_holder, verify
from town.aof.salvage import keys_of_ledger

if TYPE_CHECKING:
    from redis import Redis

_READ_ENTRIES: Final = 1_000
_TRACES_MAX: Final = 1_000
"""How many lost events are listed one by one, if something names them; of the others only the numbers are listed."""
_HEAD: Final = re.compile(rb"([0-9]{1,15}):([0-9]{1,16}-[0-9]{1,16})")


class LostEvent(Struct, frozen=True):
    """A lost event that another record names: its number, its time, and its task."""

    number: int
    time: datetime
    task_id: str


class LostEvents(Struct, frozen=True):
    """Lost events by their numbers, `first` to `last`. They were recorded between the two times, as far as known."""

    first: int
    last: int
    not_before: datetime | None
    not_after: datetime | None


class Loss(StrEnum):
    """Which of a task's events are lost, which decides what happens to the task."""

    BEGINNING = "beginning"
    """Its creation, or all: a snapshot may still show the task, and a rebuild removes it."""
    MIDDLE = "middle"
    """Some before its latest: the task goes on, but its history cannot be read across the gap."""
    END = "end"
    """Its latest: a snapshot shows their effect, and a rebuild takes the task back to before them."""


class AffectedTask(Struct, frozen=True):
    """A task that lost events. `description` and `state` are those of its snapshot, None without one."""

    task_id: str
    loss: Loss
    description: str | None
    state: str | None


class MendedTown(Struct, frozen=True):
    """A town of the copy: what it holds, what it lost, and what `verify` finds now.

    `heads` and `rebuilt` count corrections.
    """

    town: str
    events: int
    position: Position
    lost: tuple[LostEvents, ...]
    named: tuple[LostEvent, ...]
    affected: tuple[AffectedTask, ...]
    heads: int
    rebuilt: int
    findings: tuple[Finding, ...]

    @property
    def lost_count(self) -> int:
        return sum(each.last - each.first + 1 for each in self.lost)


class _Snapshot(Struct):
    """The fields of a snapshot by which people recognise a task."""

    description: str | None = None
    state: str | None = None
    version: int | None = None


class _Named(Struct):
    """The fields of a stored event that give its place in its task's history."""

    task: str
    version: int
    prev: str | None = None


def mend_towns(client: Redis, *, where: str, lost_max: int) -> list[MendedTown]:
    """Put every town of the server right, in order of name. At most `lost_max` events can be lost at a ledger's end."""
    with redis_errors(where):
        found = client.scan_iter(match="tt:*:ledger", count=_READ_ENTRIES, _type="stream")
        towns = [keys_of_ledger(cast("bytes", key)) for key in found]
    return [_Mending(client, keys, where, lost_max).run() for keys in sorted(filter(None, towns), key=str)]


class _Mending:
    """The mending of one town."""

    def __init__(self, client: Redis, keys: Keys, where: str, lost_max: int) -> None:
        self._client: Any = client
        self._keys = keys
        self._where = where
        self._lost_max = lost_max
        self._events = 0
        self._last = BEGINNING
        self._lost: list[LostEvents] = []
        self._heads: dict[bytes, tuple[int, Position]] = {}
        self._unread: set[bytes] = set()
        self._named: dict[int, LostEvent] = {}
        self._losses: dict[bytes, Loss] = {}

    def run(self) -> MendedTown:
        with redis_errors(self._where):
            self._read()
            self._note_end()
            heads = self._mend_heads()
            affected = self._affected() if self._lost else ()
        rebuilt = 0
        findings = self._verify()
        if findings and not self._lost and not self._unread:
            with suppress(LedgerError):
                rebuilt = Rebuild(self._client, self._keys, holder=new_holder(), where=self._where).run().differences
            findings = self._verify()
        return MendedTown(
            town=self._keys.town,
            events=self._events,
            position=self._last,
            lost=tuple(self._lost),
            named=tuple(self._named[number] for number in sorted(self._named)),
            affected=affected,
            heads=heads,
            rebuilt=rebuilt,
            findings=findings,
        )

    def _verify(self) -> tuple[Finding, ...]:
        return verify(self._client, self._keys, where=self._where).findings

    def _read(self) -> None:
        """Read the ledger: what its heads should be, which numbers are missing, and what names those."""
        decoder = msgspec.json.Decoder(_Named)
        begin = "-"
        while entries := self._client.xrange(self._keys.ledger, min=begin, count=_READ_ENTRIES):
            for place, fields in entries:
                position = Position(place, "ascii")
                if position.seq > self._last.seq + 1:
                    self._lose(self._last.seq + 1, position.seq - 1, position)
                self._last = position
                self._events += 1
                try:
                    event = decoder.decode(fields.get(b"event", b""))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    self._unread.add(place)
                    continue
                if event.prev is not None and self._lost:
                    self._note_lost(_parse_position(event.prev.encode()), event.task)
                task = event.task.encode()
                before = self._heads.get(task, (0, BEGINNING))[0]
                if event.version > before + 1:
                    self._losses.setdefault(task, Loss.MIDDLE if before else Loss.BEGINNING)
                self._heads[task] = event.version, position
            begin = f"({self._last}"

    def _note_end(self) -> None:
        """Note events behind the last one that heads or checkpoints name as lost. Their numbers are never used again."""
        told = [_parse_head(head)[1] for _, head in self._client.hscan_iter(self._keys.heads)]
        for checkpoint in self._client.scan_iter(match=self._keys.checkpoint("*"), count=_READ_ENTRIES):
            if self._client.type(checkpoint) == b"hash":
                told += [_parse_position(self._client.hget(checkpoint, "position") or b"")]
        information = self._client.xinfo_stream(self._keys.ledger)
        given = Position(information["last-generated-id"], "ascii")
        end = max(
            (
                each
                for each in told
                # A head may be damaged too.
                if given.seq < each.seq <= self._last.seq + self._lost_max and each.ms >= given.ms
            ),
            key=lambda each: each.seq,
            default=given,
        )
        if end != given:
            self._client.execute_command("XSETID", self._keys.ledger, end)
        if end.seq > self._last.seq:
            self._lose(self._last.seq + 1, end.seq, end)

    def _lose(self, first: int, last: int, next_position: Position) -> None:
        not_before = None if self._last == BEGINNING else _time_of(self._last)
        self._lost.append(LostEvents(first, last, not_before, _time_of(next_position)))

    def _note_lost(self, position: Position, task_id: str) -> None:
        """Remember that a record names a lost event."""
        index = bisect_right(self._lost, position.seq, key=lambda each: each.first) - 1
        time = _time_of(position)
        is_lost = index >= 0 and self._lost[index].first <= position.seq <= self._lost[index].last
        if is_lost and time is not None and len(self._named) < _TRACES_MAX:
            self._named[position.seq] = LostEvent(position.seq, time, task_id)

    def _mend_heads(self) -> int:
        """Make the heads match the events; returns how many did not. A head at an unreadable event stays."""
        wanted = {task: f"{version}:{position}".encode() for task, (version, position) in self._heads.items()}
        changes: dict[bytes, bytes | None] = {}
        for task, head in self._client.hscan_iter(self._keys.heads, count=_READ_ENTRIES):
            version, position = _parse_head(head)
            if version > self._heads.get(task, (0, BEGINNING))[0]:
                self._losses.setdefault(task, Loss.END if task in self._heads else Loss.BEGINNING)
            self._note_lost(position, task.decode(errors="replace"))
            expected = wanted.pop(task, None)
            if expected != head and str(position).encode() not in self._unread:
                changes[task] = expected
        changes |= wanted
        for task, value in changes.items():
            if value is None:
                self._client.hdel(self._keys.heads, task)
            else:
                self._client.hset(self._keys.heads, task, value)
        return len(changes)

    def _affected(self) -> tuple[AffectedTask, ...]:
        """The tasks that lost events, in order of id; also those of which only a snapshot is left."""
        prefix = self._keys.task("")
        told = set(self._losses)
        for key in self._client.scan_iter(match=f"{prefix}*", count=_READ_ENTRIES, _type="string"):
            task = key[len(prefix) :]
            if task not in self._heads:
                self._losses.setdefault(task, Loss.BEGINNING)
        tasks = sorted(self._losses)[:_TRACES_MAX]
        snapshots = (
            self._client.mget([self._keys.task(task.decode(errors="replace")) for task in tasks]) if tasks else []
        )
        return tuple(
            AffectedTask(task.decode(errors="replace"), self._losses[task], found.description, found.state)
            for task, found in zip(tasks, map(_parse_snapshot, snapshots), strict=True)
            # A task from before the ledger has no version, and has lost nothing.
            if task in told or found.version is not None
        )


def _parse_snapshot(content: bytes | None) -> _Snapshot:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(content or b"{}", type=_Snapshot)
    return _Snapshot()


def _parse_head(head: bytes) -> tuple[int, Position]:
    found = _HEAD.fullmatch(head)
    return (0, BEGINNING) if found is None else (int(found[1]), _parse_position(found[2]))


def _parse_position(text: bytes) -> Position:
    try:
        return Position.parse(text.decode())
    except ValueError:
        return BEGINNING


def _time_of(position: Position) -> datetime | None:
    """Its time; None if a damaged record has a time outside the calendar."""
    with suppress(OverflowError, ValueError):
        return position.time
    return None
