"""The user's zone: times in it, its name, and times that its clock shows twice or never."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from town import local_time, local_times
from town.reading.local_zone import local_day, placed, zone_name

# Written as a POSIX rule, so that no zone files are needed: Central European Time, an hour ahead in summer.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
WINTER = datetime(2026, 11, 23, 23, 59, 59, 999_000, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """The user's zone is the parameter, for this test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", getattr(request, "param", "UTC"))
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-11-23 23:59:59 UTC"),
        ("XXX-01", "2026-11-24 00:59:59 UTC+1"),
        ("XXX+05", "2026-11-23 18:59:59 UTC-5"),
        ("XXX+03:30", "2026-11-23 20:29:59 UTC-3:30"),
        ("XXX-05:45", "2026-11-24 05:44:59 UTC+5:45"),
        ("XXX-00:53:28", "2026-11-24 00:53:27 UTC+0:53:28"),
        ("nowhere/at/all", "2026-11-23 23:59:59 UTC"),
        ("UTC+99", "2026-11-23 23:59:59 UTC"),
    ],
    indirect=["zone"],
)
def test_local_time_is_that_of_the_person_and_names_the_zone(shown: str) -> None:
    """In the zone of TZ, to the second; the date moves along."""
    assert local_time(WINTER) == shown


@pytest.mark.parametrize("zone", [BERLIN], indirect=True)
def test_times_of_a_column_name_the_zone_once() -> None:
    """In its head, while all have one offset; where the clock was set between them each has its own."""
    assert local_times([WINTER, WINTER]) == ("UTC+1", ["2026-11-24 00:59:59"] * 2)
    assert local_times([SUMMER]) == ("UTC+2", ["2026-07-01 14:00:00"])
    both = local_times([SUMMER, WINTER])
    assert both == ("UTC+1/+2", ["2026-07-01 14:00:00 +2", "2026-11-24 00:59:59 +1"])
    assert zone_name([SUMMER, WINTER]) == "UTC+1/+2"


@pytest.mark.parametrize("zone", ["GMT0BST,M3.5.0/1,M10.5.0"], indirect=True)
def test_times_of_a_column_in_london_say_where_they_are_utc() -> None:
    """Half of the year it is UTC there."""
    assert local_times([SUMMER, WINTER]) == ("UTC+0/+1", ["2026-07-01 13:00:00 +1", "2026-11-23 23:59:59 +0"])
    assert local_times([WINTER])[0] == "UTC"


def test_column_without_times_names_the_zone_of_now() -> None:
    """An empty table has a head too."""
    assert local_times([]) == ("UTC", [])


@pytest.mark.parametrize(("zone", "day"), [("UTC", 23), ("XXX-01", 24)], indirect=["zone"])
def test_local_day_is_the_users(day: int) -> None:
    """Which may not be that of UTC."""
    assert local_day(WINTER) == date(2026, 11, day)


@pytest.mark.parametrize("zone", [BERLIN], indirect=True)
@pytest.mark.parametrize("where", [None, ZoneInfo("Europe/Berlin")], ids=["system", "named"])
def test_time_that_a_clock_shows_once_is_placed_without_a_word(where: ZoneInfo | None) -> None:
    """Right before and right after the clock is set."""
    for clock, hour in ((datetime(2026, 3, 29, 1, 59), 0), (datetime(2026, 3, 29, 3, 0), 1)):  # noqa: DTZ001
        moment, note = placed(clock, where)
        assert (moment.astimezone(UTC).hour, note) == (hour, None)


@pytest.mark.parametrize("zone", [BERLIN], indirect=True)
@pytest.mark.parametrize("where", [None, ZoneInfo("Europe/Berlin")], ids=["system", "named"])
def test_time_in_a_gap_goes_on_from_before_it_and_says_so(where: ZoneInfo | None) -> None:
    """In Berlin there was no 02:30 on 2026-03-29: half an hour after 02:00 the clocks showed 03:30."""
    moment, note = placed(datetime(2026, 3, 29, 2, 30), where)  # noqa: DTZ001
    assert moment == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert note == "2026-03-29 02:30:00 was skipped when the clock was set forward; 2026-03-29 03:30:00 UTC+2 is taken."


@pytest.mark.parametrize("zone", [BERLIN], indirect=True)
@pytest.mark.parametrize("where", [None, ZoneInfo("Europe/Berlin")], ids=["system", "named"])
def test_time_in_an_overlap_is_the_first_and_says_how_the_other_is_written(where: ZoneInfo | None) -> None:
    """In Berlin 02:30 came twice on 2026-10-25."""
    moment, note = placed(datetime(2026, 10, 25, 2, 30), where)  # noqa: DTZ001
    assert moment == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert note == (
        "2026-10-25 02:30:00 came twice; 2026-10-25 02:30:00 UTC+2 is taken. The other one is 2026-10-25 02:30:00 UTC+1."
    )
    assert moment.utcoffset() == timedelta(hours=2)


def test_years_have_four_digits() -> None:
    """Also the first ones, as in the rest of a column; they were written without zeros."""
    assert local_time(datetime(1, 1, 2, 3, 4, 5, tzinfo=UTC)).startswith("0001-01-02 03:04:05")
