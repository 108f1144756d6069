"""WHEN: every way to name a moment, and what names none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ledger import Position
from tests.support.markdown import ROOT
from town import in_local_zone
from town.reading.moment import HeadBack, Now, StateEntered
from town.reading.when import parse_moment, understand

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
        ("2 hours ago", timedelta(hours=2)),
        ("an hour ago", timedelta(hours=1)),
        ("Three days and 30 minutes ago", timedelta(days=3, minutes=30)),
        ("a week ago", timedelta(weeks=1)),
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
        ("2026-06-01T12", datetime(2026, 6, 1, 10, 0, tzinfo=UTC)),
        ("2026-06-01 9:05", datetime(2026, 6, 1, 7, 5, tzinfo=UTC)),
        ("today", datetime(2026, 6, 9, 22, 0, tzinfo=UTC)),
        ("yesterday", datetime(2026, 6, 8, 22, 0, tzinfo=UTC)),
        ("Yesterday 17:00", datetime(2026, 6, 9, 15, 0, tzinfo=UTC)),
        ("17:00 yesterday", datetime(2026, 6, 9, 15, 0, tzinfo=UTC)),
        ("noon yesterday", datetime(2026, 6, 9, 10, 0, tzinfo=UTC)),
        ("the day before yesterday at 5pm", datetime(2026, 6, 8, 15, 0, tzinfo=UTC)),
        ("tomorrow", datetime(2026, 6, 10, 22, 0, tzinfo=UTC)),
        ("12am", datetime(2026, 6, 9, 22, 0, tzinfo=UTC)),
        ("5:30 pm", datetime(2026, 6, 10, 15, 30, tzinfo=UTC)),
        ("3 days ago at 9:00", datetime(2026, 6, 7, 7, 0, tzinfo=UTC)),
    ],
)
def test_local_time_is_the_users(text: str, expected: datetime) -> None:
    """A time without a zone is meant as the system's clock showed it on that day, summer time included.

    Without the time it is midnight, without the date it is today.
    """
    now = NOW.astimezone(timezone(timedelta(hours=2)))
    assert parse_moment(text, now=now) == expected


@pytest.mark.parametrize(
    ("text", "day", "hour"),
    [
        # NOW is noon on a Wednesday, the 10th.
        ("tue", 9, 0),
        ("tuesday 17:00", 9, 17),
        ("last tuesday 17:00", 9, 17),
        ("on tues at 5pm", 9, 17),
        ("wed", 10, 0),
        ("wed 9:00", 10, 9),
        ("wednesday 17:00", 3, 17),
        ("last wednesday", 3, 0),
        ("last wed 9:00", 3, 9),
        ("thu", 4, 0),
        ("9:00 last thursday", 4, 9),
        ("next thursday", 11, 0),
        ("next wed", 17, 0),
    ],
)
def test_weekday_is_the_last_one_that_has_come(text: str, day: int, hour: int) -> None:
    """With a time of the clock, that time must have come too. `last` is never today, and `next` never either."""
    assert parse_moment(text, now=NOW) == datetime(2026, 6, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24 Nov 2025 17:00", datetime(2025, 11, 24, 17, 0, tzinfo=UTC)),
        ("Nov 24, 2025", datetime(2025, 11, 24, tzinfo=UTC)),
        ("24th of november 2025 at noon", datetime(2025, 11, 24, 12, tzinfo=UTC)),
        ("24-Nov-2025", datetime(2025, 11, 24, tzinfo=UTC)),
        ("nov 24", datetime(2025, 11, 24, tzinfo=UTC)),
        ("june 10", datetime(2026, 6, 10, tzinfo=UTC)),
        ("june 10 5pm", datetime(2025, 6, 10, 17, tzinfo=UTC)),
        ("feb 29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("may 5", datetime(2026, 5, 5, tzinfo=UTC)),
        ("Mon, 24 Nov 2025 17:00:00 +0100", datetime(2025, 11, 24, 16, tzinfo=UTC)),
        ("Mon Nov 24 17:00:00 2025", datetime(2025, 11, 24, 17, tzinfo=UTC)),
        ("24 nov 2025 17:00 UTC-3:30", datetime(2025, 11, 24, 20, 30, tzinfo=UTC)),
        ("a month ago", datetime(2026, 5, 10, 12, tzinfo=UTC)),
        ("2 years ago", datetime(2024, 6, 10, 12, tzinfo=UTC)),
    ],
)
def test_date_with_a_month_in_words_is_read(text: str, expected: datetime) -> None:
    """As people write it, and as mail and git print it. Without a year it is the last such day that has come."""
    assert parse_moment(text, now=NOW) == expected


@in_zone(BERLIN)
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01 17:00 UTC", datetime(2026, 6, 1, 17, tzinfo=UTC)),
        ("2026-06-01 17:00utc", datetime(2026, 6, 1, 17, tzinfo=UTC)),
        ("2026-06-01 17:00 GMT", datetime(2026, 6, 1, 17, tzinfo=UTC)),
        ("2026-06-01 17:00:00 UTC+1", datetime(2026, 6, 1, 16, tzinfo=UTC)),
        ("2026-06-01 17:00:00 UTC-3:30", datetime(2026, 6, 1, 20, 30, tzinfo=UTC)),
        ("2026-06-01 17:00 -0330", datetime(2026, 6, 1, 20, 30, tzinfo=UTC)),
        ("2026-06-01 UTC", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01 17:00 America/New_York", datetime(2026, 6, 1, 21, tzinfo=UTC)),
        ("yesterday 17:00 UTC", datetime(2026, 6, 9, 17, tzinfo=UTC)),
        ("today Pacific/Kiritimati", datetime(2026, 6, 10, 10, tzinfo=UTC)),
        ("tue 17:00Z", datetime(2026, 6, 9, 17, tzinfo=UTC)),
    ],
)
def test_zone_behind_a_time_is_the_one_it_is_meant_in(text: str, expected: datetime) -> None:
    """Also in the form in which `tt` prints it; what day it is there is asked of that zone."""
    assert parse_moment(text, now=NOW) == expected


def test_what_needs_no_clock_is_left_to_the_ledger() -> None:
    """Now is the end of the ledger; events counted back; a task that entered a state."""
    assert {parse_moment(text, now=NOW) for text in ("now", " NOW ")} == {Now.NOW}
    assert [parse_moment(text, now=NOW) for text in ("HEAD", "HEAD~0", "head~10")] == [
        HeadBack(0),
        HeadBack(0),
        HeadBack(10),
    ]
    assert parse_moment("@login:completed", now=NOW) == StateEntered("login", "completed")
    assert parse_moment("@a:b:Created", now=NOW) == StateEntered("a:b", "created")


@in_zone(BERLIN)
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("text", ["2026-03-29 02:30", "29 mar 2026 2:30 am", "2026-03-29 02:30 Europe/Berlin"])
def test_time_in_a_gap_says_what_is_taken(text: str) -> None:
    """In every form, and in every zone."""
    found = understand(text, now=NOW)
    assert found.moment == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert found.note is not None
    assert "was skipped" in found.note


@in_zone(BERLIN)
@pytest.mark.usefixtures("zone")
def test_time_in_an_overlap_says_how_the_other_one_is_written() -> None:
    """And that form is understood as the other one, without a further word."""
    found = understand("2026-10-25 02:30", now=NOW)
    assert found.note is not None
    other = found.note.rpartition("The other one is ")[2].rstrip(".")
    assert understand(other, now=NOW) == (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), None)


@in_zone("XYZ+11:30")
@pytest.mark.usefixtures("zone")
def test_time_without_a_date_is_of_the_users_today() -> None:
    """Today is the day in the user's zone, which may not be the day in UTC."""
    now = datetime(2026, 6, 10, 2, 0, tzinfo=UTC).astimezone()
    assert parse_moment("1:00", now=now) == datetime(2026, 6, 9, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2h", "1d", "9:05", "2026-06-01", "2026-06-01T12:00:00Z", "yesterday", "nov 24"])
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
        "tuesday foo 17:00",
        "yesterday 99:99",
        "13pm",
        "0am",
        "foo days ago 9:00",
        "friday the 13th",
        "32 nov",
        "november 31",
        "HEAD~",
        "HEAD~-1",
        "HEAD^",
        "2026-06-01 12:00 UTC+99",
        "now UTC",
        "2h UTC",
        "UTC",
        "Europe/Berlin",
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


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("last week", "several moments. Name the day"),
        ("monday morning", "several moments"),
        ("midnight", "several moments. Name the day and the time"),
        ("12/11", "such numbers can be read in several orders. Write the year first"),
        ("03/04/05", "several orders"),
        ("24.12.2026", "several orders"),
        ("may", "one day of one month"),
        ("nov 2026", "one day of one month"),
        ("nov 24 26", "the year in four digits"),
        ("friday 24 nov 2026", "2026-11-24 is a Tuesday"),
        ("2026-06-01 12:00 CET", "CET can be several time zones. Write UTC, UTC+1 or Europe/Berlin"),
        ("2026-06-01 12:00 Foo/Bar", "the time zone Foo/Bar is not known on this machine"),
        ("@login", "after @TASK: comes created or a state, one of pending,"),
        ("@login:done", "after @TASK: comes created or a state"),
        ("@:created", "after @TASK:"),
    ],
)
def test_words_that_may_mean_several_moments_are_refused_with_the_reason(text: str, why: str) -> None:
    """Nobody is shown a day that they did not mean; the examples show how a moment is written."""
    with pytest.raises(ValueError, match="is not a moment") as refused:
        parse_moment(text, now=NOW)
    assert why in str(refused.value)
    assert "HEAD~10" in str(refused.value)
    assert "tue 17:00" in str(refused.value)


@pytest.mark.parametrize(
    ("texts", "loaded"),
    [
        ("4711 1795398503973-1 HEAD~10 @a:created now 2h 9:05 2026-06-01T12:00:00Z 2026-06-01", []),
        ("yesterday", ["town.reading.day_words"]),
        ("24-nov-2025", ["dateutil", "town.reading.day_words", "town.reading.written_date"]),
    ],
)
def test_fast_forms_import_no_words(texts: str, loaded: list[str]) -> None:
    """python-dateutil and the rooms for words come with phrases alone."""
    program = """
import sys
from datetime import UTC, datetime
from town.reading.when import parse_moment
for text in sys.argv[1:]:
    parse_moment(text, now=datetime(2026, 6, 10, tzinfo=UTC))
print(*sorted({"town.reading.day_words", "town.reading.written_date", "dateutil"} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, *texts.split()], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert ran.stdout.split() == loaded
