"""The format of receipts: what was written is read again, and damage spoils no record but its own."""

from __future__ import annotations

import pytest

from ledger import Position
from town.receipts.record import (
    RECORD_BYTES_MAX,
    Settled,
    Told,
    read_line,
    settled_line,
    told_in,
    told_lines,
)

EVENT = b'{"type":"task.noted","task":"t","version":3,"data":{"text":"\xc3\xa9 \\n"}}'


def told(position: str, count: int = 1) -> bytes:
    return b"".join(told_lines(Position(position), [EVENT] * count))


def read(content: bytes) -> list[Told | Settled | None]:
    return [read_line(line) for line in content.split(b"\n") if line]


def test_record_reads_as_it_was_written() -> None:
    """The events come back byte for byte."""
    assert read(told("5-7", 2)) == [Told(Position("5-7"), [EVENT, EVENT])]
    assert read(settled_line("5-9", [("5-7", 2), ("6-9", 1)])) == [Settled("5-9", [("5-7", 2), ("6-9", 1)])]
    assert read(settled_line("")) == [Settled("", [])]


def test_large_append_is_several_records_of_all_its_events() -> None:
    """Each is read by itself, and begins where the one before it ends."""
    payloads = [b'{"n":%d,"x":"%s"}' % (number, b"x" * 50_000) for number in range(20)]
    records = read(b"".join(told_lines(Position("5-7"), payloads)))
    assert len(records) > 1
    found: list[bytes] = []
    for record in records:
        assert isinstance(record, Told)
        assert record.first == f"5-{7 + len(found)}"
        assert sum(map(len, record.payloads)) <= RECORD_BYTES_MAX
        found += record.payloads
    assert found == payloads


def test_record_that_was_cut_off_spoils_no_other() -> None:
    """Whatever was written of it, the one before and the one after are read."""
    before, torn, after = told("5-1"), told("5-2", 2), told("5-4")
    for length in range(len(torn)):
        found = [record for record in read(before + torn[:length] + after) if record is not None]
        assert [record.first for record in found if isinstance(record, Told)] == ["5-1", "5-4"]
        assert told_in(before + torn[:length]) == ["5-1"]


def test_flipped_bit_spoils_one_record_and_is_seen() -> None:
    """Nothing false is read."""
    sound = told("5-1") + told("5-2") + settled_line("5-2", [("4-1", 1)])
    whole = read(sound)
    for place in range(len(sound)):
        for bit in (0, 6):
            damaged = sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :]
            found = [record for record in read(damaged) if record is not None]
            assert [record for record in found if record not in whole] == []
            # The line break belongs to two records.
            assert len(found) >= len(whole) - (2 if sound[place : place + 1] == b"\n" else 1)


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (b"", None),
        (b"\nx", None),
        (told("5-1"), ["5-1"]),
        (told("5-1", 3), ["5-3"]),
        (told("5-3") + told("5-2"), ["5-3", "5-2"]),
        (told("5-9") + told("12-10"), ["12-10", "5-9"]),
        (told("5-9") + settled_line("5-4", [("5-9", 1)]), ["5-4"]),
        (told("5-9") + settled_line("5-4", [("5-9", 1)]) + told("5-5"), ["5-5", "5-4"]),
        (told("5-9") + settled_line(""), []),
        (told("5-9") + settled_line("") + told("6-1"), ["6-1"]),
        (told("5-9")[20:] + told("5-8"), ["5-8"]),
        (told("5-9") + b"\0" * 100, ["5-9"]),
    ],
)
def test_end_of_a_file_tells_the_last_positions(content: bytes, known: list[str] | None) -> None:
    """Processes write in any order; what is settled does not count; a beginning or an end that is not whole is left out."""
    assert told_in(content) == known
