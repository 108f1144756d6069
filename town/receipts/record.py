"""The format of receipts: one line for each record, with a checksum. Pure.

    <checksum> told <position> <count> [<event>,…]      these events are in the ledger, the first of them there
    <checksum> settled <position> [["<position>",<count>],…]
                                                           nothing is to be said any more of the receipts of these events;
                                                          from here on the last one told is at <position>, `-` for none

A record begins with its line break, so that one which was cut off spoils no other.
"""

from __future__ import annotations

# hashlib loads OpenSSL, and every command reads the end of the receipts.
from _blake2 import blake2b
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ledger import Position, order_of

RECORD_BYTES_MAX: Final = 256 * 1024
"""An append of more than that is several records, unless a single event is larger."""
_CHECKSUM_BYTES: Final = 6
_NOTHING: Final = "-"


class Told(Struct, frozen=True):
    """Events are in the ledger, the first of them at `first`, the others of its time right after it. They are without their `prev`."""

    first: Position
    payloads: list[bytes]

    @property
    def last(self) -> Position:
        return Position.of(ms=self.first.ms, seq=self.first.seq + len(self.payloads) - 1)


class Settled(Struct, frozen=True):
    """Nothing is to be said any more of events: pairs of a position and how many follow. `known` is the last position told, '' for none."""

    known: str
    places: list[tuple[str, int]]


Record = Told | Settled


def told_lines(first: Position, payloads: Sequence[bytes]) -> Iterable[bytes]:
    """The records of one append."""
    ms, _, seq = first.partition("-")
    if sum(map(len, payloads)) <= RECORD_BYTES_MAX:
        return (_told_line(ms, int(seq), payloads),)
    return _told_lines(ms, int(seq), payloads)


def _told_lines(ms: str, seq: int, payloads: Sequence[bytes]) -> Iterator[bytes]:
    start = size = 0
    for index, payload in enumerate(payloads):
        size += len(payload) + 1
        if index > start and size > RECORD_BYTES_MAX:
            yield _told_line(ms, seq + start, payloads[start:index])
            start, size = index, len(payload) + 1
    yield _told_line(ms, seq + start, payloads[start:])


def settled_line(known: str, places: Sequence[tuple[str, int]] = ()) -> bytes:
    return _line(b"settled %s %s" % ((known or _NOTHING).encode(), msgspec.json.encode(places)))


def read_line(line: bytes) -> Record | None:
    """The record in a line, without its line break; None if it is damaged."""
    # A power cut may leave a file that is longer than what was written.
    line = line.rstrip(b"\0")
    checksum, _, body = line.partition(b" ")
    if checksum != _checksum(body):
        return None
    kind, place, rest = body.split(b" ", 2)
    if kind == b"told":
        _, _, events = rest.partition(b" ")
        return Told(Position(place, "ascii"), [bytes(each) for each in _read_events(events)])
    known = "" if place == _NOTHING.encode() else place.decode("ascii")
    return Settled(known, _read_places(rest))


def told_in(tail: bytes) -> list[str] | None:
    """Positions that were told, the last one first, by the end of a file of receipts; None if no record is whole.

    Processes that append at once write their records in any order, so the highest position counts as the last.
    """
    told: list[str] | None = None
    for line in tail.rstrip(b"\0").split(b"\n"):
        checksum, _, body = line.partition(b" ")
        if not line or checksum != _checksum(body):
            continue
        kind, place, rest = body.split(b" ", 2)
        at = place.decode("ascii")
        if kind == b"settled":
            told = [] if at == _NOTHING else [at]
            continue
        ms, _, seq = at.partition("-")
        last = f"{ms}-{int(seq) + int(rest.partition(b' ')[0]) - 1}"
        told = [last] if told is None else [*told, last]
    return None if told is None else sorted(told, key=order_of, reverse=True)


def _told_line(ms: str, seq: int, payloads: Sequence[bytes]) -> bytes:
    return _line(b"told %s-%d %d [%s]" % (ms.encode(), seq, len(payloads), b",".join(payloads)))


def _line(body: bytes) -> bytes:
    return b"\n%s %s" % (_checksum(body), body)


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECKSUM_BYTES).hexdigest().encode()


def _read_events(events: bytes) -> list[msgspec.Raw]:
    return msgspec.json.decode(events, type=list[msgspec.Raw])


def _read_places(places: bytes) -> list[tuple[str, int]]:
    return msgspec.json.decode(places, type=list[tuple[str, int]])
