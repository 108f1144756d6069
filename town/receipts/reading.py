"""Reads all receipts of a town: the events that were told and are not settled, in the order of the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from ledger import TOWN_ID, EventsLostError, LedgerError, Position, order_of, seq_of
from town.files.plain_file import open_plain
from town.receipts.kept import files_in
from town.receipts.record import Record, Told, read_line

if TYPE_CHECKING:
    from town.receipts.kept import KeptReceipts


class KeptEvent(NamedTuple):
    """An event that this machine was told of: its position, and its JSON without `prev`."""

    at: str
    payload: bytes


class Envelope(Struct, frozen=True):
    """What is read of a kept event to know whose it is."""

    type: str
    task: str
    version: int
    command: str


class AllReceipts(NamedTuple):
    """The events by their position, in the order of the ledger, and in how many places a file is damaged."""

    events: list[KeptEvent]
    damaged: int


def read_receipts(path: Path) -> AllReceipts:
    """All receipts in the folder. The last record of a file may have been cut off, which is no damage. OSError, LedgerError."""
    events: dict[str, bytes] = {}
    damaged = 0
    for name in files_in(path):
        lines = _read(path / name).split(b"\n")
        for number, line in enumerate(lines):
            record = read_line(line) if line else None
            if record is not None:
                _take(record, events)
            elif line and number < len(lines) - 1:
                damaged += 1
    return AllReceipts(
        [KeptEvent(*each) for each in sorted(events.items(), key=lambda each: order_of(each[0]))], damaged
    )


def loss_of(receipts: KeptReceipts, end: Position) -> EventsLostError:
    """The error for a ledger that ends at `end`, with what the receipts say of the events behind that."""
    known = receipts.missing or receipts.known
    try:
        behind = [each for each in read_receipts(receipts.path).events if seq_of(each.at) > end.seq]
    except (LedgerError, OSError):
        behind = []
    if not behind or seq_of(known) <= end.seq:
        return EventsLostError(known, end)
    tasks = dict.fromkeys(envelope_of(each).task for each in behind)
    tasks.pop(TOWN_ID, None)
    return EventsLostError(known, end, count=len(behind), first=behind[0].at, tasks=list(tasks))


def envelope_of(event: KeptEvent) -> Envelope:
    return _decode(event.payload)


def places_of(positions: Iterable[str]) -> list[tuple[str, int]]:
    """The positions, in the order of the ledger, as pairs of a position and how many of the same time follow each other."""
    places: list[tuple[str, int]] = []
    for at in positions:
        if places:
            first, count = places[-1]
            ms, _, seq = first.partition("-")
            if at == f"{ms}-{int(seq) + count}":
                places[-1] = first, count + 1
                continue
        places.append((str(at), 1))
    return places


_decode = msgspec.json.Decoder(Envelope).decode


def _take(record: Record, events: dict[str, bytes]) -> None:
    if isinstance(record, Told):
        events.update(zip(_positions(record.first, len(record.payloads)), record.payloads, strict=True))
        return
    for first, count in record.places:
        for at in _positions(first, count):
            events.pop(at, None)


def _positions(first: str, count: int) -> Iterator[str]:
    ms, _, seq = first.partition("-")
    return (f"{ms}-{int(seq) + index}" for index in range(count))


def _read(path: Path) -> bytes:
    file = open_plain(path, os.O_RDONLY, path=path)
    with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor has no path
        return opened.read()
