"""Times: UTC, RFC 3339, milliseconds, Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger import TIME_MS_MAX, format_ms, parse_rfc3339, to_ms
from ledger.times import from_ms

TIMES = [
    (0, "1970-01-01T00:00:00.000Z"),
    (1, "1970-01-01T00:00:00.001Z"),
    (1_795_398_503_973, "2026-11-23T01:48:23.973Z"),
    (1_795_398_503_000, "2026-11-23T01:48:23.000Z"),
    (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
]


@pytest.mark.parametrize(("ms", "text"), TIMES)
def test_format_has_milliseconds_and_z(ms: int, text: str) -> None:
    """Every time is written with three digits of milliseconds, whole seconds too, and reads back."""
    assert format_ms(ms) == text
    assert parse_rfc3339(text) == ms
    assert to_ms(from_ms(ms)) == ms


def test_parse_with_offset_is_the_same_moment() -> None:
    """An offset is taken into account."""
    assert parse_rfc3339("2026-11-23T03:48:23.973+02:00") == 1_795_398_503_973


def test_parse_without_zone_is_refused() -> None:
    """A time that could be anywhere is no time."""
    with pytest.raises(ValueError, match="no time zone"):
        parse_rfc3339("2026-11-23T01:48:23.973")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "1795398503973"])
def test_parse_nonsense_is_refused(text: str) -> None:
    """What is no time raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)


def test_to_ms_rounds_down() -> None:
    """Parts of a millisecond are dropped, also before 1970, so that a moment never lies in its own future."""
    zone = timezone(timedelta(hours=-5))
    assert to_ms(datetime(1970, 1, 1, 0, 0, 0, 1_999, tzinfo=UTC)) == 1
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert to_ms(datetime(1969, 12, 31, 19, 0, 0, 2_500, tzinfo=zone)) == 2


@pytest.mark.parametrize(
    ("text", "ms"), [("9999-12-31T23:59:59-12:00", TIME_MS_MAX), ("0001-01-01T00:00:00+05:00", -62_135_596_800_000)]
)
def test_time_that_its_zone_puts_outside_the_calendar_is_at_its_end(text: str, ms: int) -> None:
    """It is kept so, and a command that is repeated has to find the same time; what reads events sees what they say."""
    assert to_ms(datetime.fromisoformat(text)) == ms
    assert parse_rfc3339(text) != ms
