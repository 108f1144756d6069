"""WHEN: every way to name a moment, and what names none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ledger import Position
from town import in_local_zone
from town.reading.when import parse_moment

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """The system's zone: UTC, or what the test names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", getattr(request, "param", "UTC"))
        time.tzset()
        yield
    time.tzset()


def in_zone(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("zone", [name], indirect=True)


@pytest.mark.parametrize("text", ["1795398503973-522000", "1795398503973-0", " 1795398503973-522000\n"])
def test_position_is_a_position(text: str) -> None:
    """A position names the event at it."""
    moment = parse_moment(text, now=NOW)
    assert isinstance(moment, Position)
    assert moment == text.strip()


@pytest.mark.parametrize(("text", "number"), [("4711", 4711), ("#4711", 4711), (" #1 ", 1), ("2026", 2026), ("0", 0)])
def test_number_is_the_number_of_an_event(text: str, number: int) -> None:
    """A bare number is an event's, with or without `#`; it is never a year."""
    assert parse_moment(text, now=NOW) == number


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("1w2d3h4m5s", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
        ("2h ago", timedelta(hours=2)),
        ("1d12h ago", timedelta(days=1, hours=12)),
        ("2hago", timedelta(hours=2)),
        ("0s", timedelta(0)),
        ("now", timedelta(0)),
    ],
)
def test_age_counts_back_from_now(text: str, age: timedelta) -> None:
    """Weeks, days, hours, minutes and seconds, also together, with or without `ago`."""
    assert parse_moment(text, now=NOW) == NOW - age


def test_age_is_elapsed_time_where_the_clock_changed() -> None:
    """In Berlin the night of 2026-03-29 lacks an hour: 12 hours before noon it was 23:00 the day before."""
    now = datetime(2026, 3, 29, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert parse_moment("12h", now=now) == datetime(2026, 3, 28, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01T12:00:00Z", datetime(2026, 6, 1, 12, 0, tzinfo=UTC)),
        ("2026-06-01t12:00:00z", datetime(2026, 6, 1, 12, 0, tzinfo=UTC)),
        ("2026-06-01 12:00:00Z", datetime(2026, 6, 1, 12, 0, tzinfo=UTC)),
        ("2026-06-01T12:00:00.250Z", datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-06-01T12:00:00.123456789Z", datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-06-01T12:00:00+02:00", datetime(2026, 6, 1, 10, 0, tzinfo=UTC)),
        ("2026-06-01T12:00:00-05:30", datetime(2026, 6, 1, 17, 30, tzinfo=UTC)),
    ],
)
def test_rfc3339_time_is_that_moment(text: str, expected: datetime) -> None:
    """A time with a zone is that moment wherever it is read, in the capitals of RFC 3339 or not."""
    assert parse_moment(text, now=NOW) == expected


# Written as POSIX rules, so that no zone files are needed: Central European Time, an hour ahead in summer.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@in_zone(BERLIN)
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01 12:00", datetime(2026, 6, 1, 10, 0, tzinfo=UTC)),
        ("2026-06-01T12:00", datetime(2026, 6, 1, 10, 0, tzinfo=UTC)),
        ("2026-06-01 12:00:30", datetime(2026, 6, 1, 10, 0, 30, tzinfo=UTC)),
        ("2026-06-01", datetime(2026, 5, 31, 22, 0, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, 0, tzinfo=UTC)),
        ("2026-01-01 12:00", datetime(2026, 1, 1, 11, 0, tzinfo=UTC)),
        ("2026-03-29 01:59", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29 03:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-25 01:59", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25 03:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        ("9:05", datetime(2026, 6, 10, 7, 5, tzinfo=UTC)),
        ("09:05", datetime(2026, 6, 10, 7, 5, tzinfo=UTC)),
        ("09:05:30", datetime(2026, 6, 10, 7, 5, 30, tzinfo=UTC)),
        ("9:05:30", datetime(2026, 6, 10, 7, 5, 30, tzinfo=UTC)),
        ("0:00", datetime(2026, 6, 9, 22, 0, tzinfo=UTC)),
        ("23:59:59", datetime(2026, 6, 10, 21, 59, 59, tzinfo=UTC)),
    ],
)
def test_local_time_is_the_persons(text: str, expected: datetime) -> None:
    """A time without a zone is meant as the system's clock showed it on that day, summer time included.

    Without the time it is midnight, without the date it is today.
    """
    now = NOW.astimezone(timezone(timedelta(hours=2)))
    assert parse_moment(text, now=now) == expected


@in_zone("XYZ+11:30")
@pytest.mark.usefixtures("zone")
def test_time_without_a_date_is_of_the_persons_today() -> None:
    """Today is the day in the person's zone, which may not be the day in UTC."""
    now = datetime(2026, 6, 10, 2, 0, tzinfo=UTC).astimezone()
    assert parse_moment("1:00", now=now) == datetime(2026, 6, 9, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2h", "1d", "9:05", "2026-06-01", "2026-06-01T12:00:00Z", "now"])
def test_moment_in_time_is_aware(text: str) -> None:
    """Every time that comes out has a zone."""
    moment = parse_moment(text, now=NOW)
    assert isinstance(moment, datetime)
    assert moment.tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterdayish",
        "5x",
        "h",
        "ago",
        "1h1d",
        "2 hours",
        "-2h",
        "1.5h",
        "99999999w",
        "9" * 30 + "s",
        "9" * 5_000 + "s",
        "#",
        "#-1",
        "-1",
        "12:60",
        "25:00",
        "2026-13-01",
        "2026-02-30",
        "2026-06-01T25:00:00Z",
        "0001-01-01",
        "1795398503973-",
        "01795398503973-1",
        "1795398503973-522000-1",
        "9" * 20 + "-1",
        "9" * 16,
    ],
    ids=lambda text: ascii(text[:24]),
)
@in_zone("CET-1")
@pytest.mark.usefixtures("zone")
def test_nonsense_names_no_moment(text: str) -> None:
    """What names no moment, or one that no calendar has, raises ValueError and nothing else."""
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text, now=NOW)


ODD_ZONES = ["UTC+99", "UTC-24", "<+25>-25", "XXX999999", "/etc/passwd", ":bad", "nowhere/at/all", ""]


@pytest.mark.parametrize("zone", ODD_ZONES, indirect=True)
def test_zone_that_is_none_counts_as_utc(zone: None) -> None:
    """A `TZ` of a day or more is no zone that a time can have; it once was a mistake of ours, exit code 70."""
    assert zone is None
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert in_local_zone(noon) == noon
    assert in_local_zone(noon).utcoffset() == timedelta(0)
    assert parse_moment("2026-07-01 12:00", now=noon) == noon


@pytest.mark.parametrize("zone", ["UTC+99", "UTC"], indirect=True)
@pytest.mark.parametrize("text", ["0000-01-01", "2026-13-01"])
def test_time_that_is_none_is_refused_in_any_zone(zone: None, text: str) -> None:
    """An odd zone does not make a time of what is none."""
    assert zone is None
    with pytest.raises(ValueError, match="not a moment"):
        parse_moment(text, now=NOW)
