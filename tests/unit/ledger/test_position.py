"""Positions: order, time and number in one text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger import BEGINNING, Position


@pytest.mark.parametrize("text", ["0-0", "1-1", "1795398503973-522000", "9999999999999999-9999999999999999"])
def test_parse_canonical_text_gives_it_back(text: str) -> None:
    """What is a position is kept as it is."""
    assert Position.parse(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "01-1",
        "1-01",
        "1-1-1",
        "1-1\n",
        " 1-1",
        "+1-1",
        "1.0-1",
        "x-1",
        "٣-١",
        "1" * 21 + "-1",
    ],
)
def test_parse_anything_else_is_refused(text: str) -> None:
    """Other spellings of a number, and what is no number, are no positions."""
    with pytest.raises(ValueError, match="not a position"):
        Position.parse(text)


def test_parts_of_a_position() -> None:
    """One value is a time and a number."""
    position = Position.of(ms=1_795_398_503_973, seq=522_000)
    assert position == "1795398503973-522000"
    assert (position.ms, position.seq) == (1_795_398_503_973, 522_000)
    assert position.time == datetime(2026, 11, 23, 1, 48, 23, 973_000, tzinfo=UTC)


def test_positions_order_as_numbers() -> None:
    """Milliseconds first, then the number, as numbers and not as text."""
    texts = ["10-1", "9-10", "9-9", "100-1", "9-100"]
    assert sorted(Position(text) for text in texts) == ["9-9", "9-10", "9-100", "10-1", "100-1"]


@pytest.mark.parametrize(("low", "high"), [("9-1", "10-1"), ("9-9", "9-10"), ("0-0", "1-1")])
def test_positions_compare_both_ways(low: str, high: str) -> None:
    """Each comparison agrees with the order, with a plain text on either side too."""
    for first, second in [(Position(low), Position(high)), (Position(low), high), (low, Position(high))]:
        assert first < second
        assert first <= second
        assert not first > second
        assert not first >= second
        assert second > first
        assert second >= first
    assert Position(low) <= Position(low) >= Position(low)


def test_beginning_is_before_every_event() -> None:
    """The first event comes after BEGINNING."""
    assert Position.of(ms=0, seq=1) > BEGINNING
    assert (BEGINNING.ms, BEGINNING.seq) == (0, 0)


def test_equal_positions_are_one_key() -> None:
    """Positions can be counted on as keys, beside the same text."""
    assert {Position("1-1"), Position.of(ms=1, seq=1), "1-1"} == {"1-1"}
