"""Encoding and decoding: what goes in comes out, and nothing that comes from outside breaks the reader otherwise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    EventDecodingError,
    LedgerDamagedError,
    NewEvent,
    Position,
    RecordedEvent,
    decode_event,
    format_ms,
    parse_rfc3339,
    record,
    to_ms,
)
from ledger.recorded_event import encode_event
from ledger.times import from_ms
from projections import SnapshotDamagedError
from projections.snapshots import decode_snapshot
from tests.property.strategies import instants, new_events, positions


def as_stored(event: NewEvent, prev: Position | None) -> list[bytes]:
    """The entry as append.lua writes it: `prev` put behind the first brace."""
    stamp = b'{"prev":null,' if prev is None else b'{"prev":"' + prev.encode() + b'",'
    return [b"event", stamp + encode_event(event)[1:]]


@given(new_events, positions, st.none() | positions)
def test_decode_of_encode_is_the_event(event: NewEvent, position: Position, prev: Position | None) -> None:
    """Every field of every event type reads back as it was written, at its position."""
    read = decode_event(position.encode(), as_stored(event, prev))
    expected = record(event, position)
    fields = [field for field in RecordedEvent.__struct_fields__ if field != "prev"]
    assert [getattr(read, field) for field in fields] == [getattr(expected, field) for field in fields]
    assert type(read.data) is type(event.data)
    assert read.prev == prev
    assert read.type == event.data.type


@given(new_events, positions)
def test_cause_reads_back(event: NewEvent, cause: Position) -> None:
    """The position that led to an event is written and read like its other fields."""
    caused = NewEvent(
        task=event.task, version=event.version, actor=event.actor, command=event.command, data=event.data, cause=cause
    )
    assert decode_event(b"5-2", as_stored(caused, None)).cause == cause


@given(new_events, st.data())
def test_damaged_event_is_damage(event: NewEvent, data: st.DataObject) -> None:
    """Cut off or with one byte changed, an entry is still an event or is told as damage; it never breaks the reader."""
    payload = as_stored(event, None)[1]
    index = data.draw(st.integers(0, len(payload) - 1))
    damaged = data.draw(
        st.sampled_from([payload[:index], payload[:index] + payload[index + 1 :]])
        | st.binary(min_size=1, max_size=2).map(lambda byte: payload[:index] + byte + payload[index + 1 :])
    )
    try:
        decode_event(b"5-2", [b"event", damaged])
    except EventDecodingError as error:
        assert error.position == "5-2"  # noqa: PT017 - it may decode as well


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_told_as_damage(payload: bytes) -> None:
    """Bytes that nobody here wrote are damage, with the position or the key, and never another error."""
    for read in (lambda: decode_event(b"5-2", [b"event", payload]), lambda: decode_snapshot(payload, key="key")):
        try:
            read()
        except LedgerDamagedError as error:
            assert isinstance(error, EventDecodingError | SnapshotDamagedError)  # noqa: PT017 - it may decode as well
        else:
            raise AssertionError("random bytes were read")


@given(instants)
def test_times_read_back(ms: int) -> None:
    """A time in milliseconds is the same after writing and reading it."""
    assert parse_rfc3339(format_ms(ms)) == to_ms(from_ms(ms)) == ms


@given(positions, positions)
def test_positions_order_as_pairs_of_numbers(one: Position, other: Position) -> None:
    """Position order is the order of (ms, seq)."""
    assert (one < other) == ((one.ms, one.seq) < (other.ms, other.seq))
    assert (one >= other) == ((one.ms, one.seq) >= (other.ms, other.seq))
    assert Position.parse(str(one)) == one == Position.of(ms=one.ms, seq=one.seq)
