"""Times to come, in the forms of WHEN: what they name, from now on, and what names none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town import TimeSyntaxError, in_local_zone, understand_ahead

NOW = datetime(2026, 10, 23, 15, 0, tzinfo=UTC)
"""A Friday, 17:00 in Berlin, two days before its clocks are set back."""


@pytest.fixture(autouse=True, scope="module")
def berlin() -> Iterator[None]:
    """The user's zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def read(text: str, *, is_end: bool = True, now: datetime = NOW) -> str:
    """The time as the user's clocks show it, with the offset in hours."""
    found, _ = understand_ahead(text, now=in_local_zone(now), is_end=is_end)
    local = found.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {(local.utcoffset() or timedelta()) // timedelta(hours=1):+}"


@pytest.mark.parametrize(
    ("text", "beginning", "end"),
    [
        ("2026-12-01", "2026-12-01 00:00:00 +1", "2026-12-01 23:59:59 +1"),
        ("20261201", "2026-12-01 00:00:00 +1", "2026-12-01 23:59:59 +1"),
        ("today", "2026-10-23 00:00:00 +2", "2026-10-23 23:59:59 +2"),
        ("Tomorrow", "2026-10-24 00:00:00 +2", "2026-10-24 23:59:59 +2"),
        ("yesterday", "2026-10-22 00:00:00 +2", "2026-10-22 23:59:59 +2"),
        ("friday", "2026-10-23 00:00:00 +2", "2026-10-23 23:59:59 +2"),
        ("thursday", "2026-10-29 00:00:00 +1", "2026-10-29 23:59:59 +1"),
        ("next friday", "2026-10-30 00:00:00 +1", "2026-10-30 23:59:59 +1"),
        ("last friday", "2026-10-16 00:00:00 +2", "2026-10-16 23:59:59 +2"),
        ("24 dec", "2026-12-24 00:00:00 +1", "2026-12-24 23:59:59 +1"),
        ("Jan 5", "2027-01-05 00:00:00 +1", "2027-01-05 23:59:59 +1"),
        ("1 mar", "2027-03-01 00:00:00 +1", "2027-03-01 23:59:59 +1"),
        ("thu, 24 dec 2026", "2026-12-24 00:00:00 +1", "2026-12-24 23:59:59 +1"),
        ("2026-12-01 UTC", "2026-12-01 01:00:00 +1", "2026-12-02 00:59:59 +1"),
    ],
)
def test_day_alone_is_its_beginning_or_its_end(text: str, beginning: str, end: str) -> None:
    """What may begin on a day may begin with it, and what is due on it is due by its end. A day in words is the next one."""
    assert read(text, is_end=False) == beginning
    assert read(text) == end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-10-25", "2026-10-25 23:59:59 +1"),
        ("sunday", "2026-10-25 23:59:59 +1"),
        ("day after tomorrow", "2026-10-25 23:59:59 +1"),
        ("2027-03-28", "2027-03-28 23:59:59 +2"),
        ("2026-11-01 America/New_York", "2026-11-02 05:59:59 +1"),
    ],
)
def test_day_with_a_change_of_the_clock_ends_when_it_does(text: str, end: str) -> None:
    """It has 23 or 25 hours. It ended an hour early or late."""
    assert read(text) == end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-10-23 19:00:00 +2"),
        ("in 2 hours", "2026-10-23 19:00:00 +2"),
        ("in 90 min", "2026-10-23 18:30:00 +2"),
        ("5 m", "2026-10-23 17:05:00 +2"),
        ("1d12h", "2026-10-25 04:00:00 +1"),
        ("a day and 30 minutes", "2026-10-24 17:30:00 +2"),
        ("3 days", "2026-10-26 16:00:00 +1"),
        ("in a week", "2026-10-30 16:00:00 +1"),
        ("in 2 months", "2026-12-23 17:00:00 +1"),
        ("a year", "2027-10-23 17:00:00 +2"),
        ("2h ago", "2026-10-23 15:00:00 +2"),
        ("2 days ago", "2026-10-21 17:00:00 +2"),
        ("a month ago", "2026-09-23 17:00:00 +2"),
        ("now", "2026-10-23 17:00:00 +2"),
    ],
)
def test_distance_is_from_now(text: str, expected: str) -> None:
    """An hour is an hour and a day 24 of them, months and years go by the calendar; never the end of a day. `ago` leads back."""
    assert read(text) == read(text, is_end=False) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T12:00:00Z", "2026-12-01 13:00:00 +1"),
        ("2026-12-01 17:00", "2026-12-01 17:00:00 +1"),
        ("2026-12-01 17", "2026-12-01 17:00:00 +1"),
        ("20261201T17", "2026-12-01 17:00:00 +1"),
        ("2026-12-01 17:00 UTC+5", "2026-12-01 13:00:00 +1"),
        ("tomorrow noon", "2026-10-24 12:00:00 +2"),
        ("today 9:00", "2026-10-23 09:00:00 +2"),
        ("friday 17:00", "2026-10-23 17:00:00 +2"),
        ("fri 16:59", "2026-10-30 16:59:00 +1"),
        ("mon at 9am", "2026-10-26 09:00:00 +1"),
        ("17:00", "2026-10-23 17:00:00 +2"),
        ("16:59", "2026-10-24 16:59:00 +2"),
        ("16:00 UTC", "2026-10-23 18:00:00 +2"),
        ("4pm", "2026-10-24 16:00:00 +2"),
        ("noon", "2026-10-24 12:00:00 +2"),
        ("jan 5 9am", "2027-01-05 09:00:00 +1"),
    ],
)
def test_time_is_that_time_and_without_a_date_the_next_one(text: str, expected: str) -> None:
    """With a day that is named, also one that has passed; a weekday or a time alone is never past."""
    assert read(text) == read(text, is_end=False) == expected


@pytest.mark.parametrize("is_end", [True, False])
@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("2027-03-28 02:30", "2027-03-28 03:30:00 +2", "was skipped when the clock was set forward"),
        ("2026-10-25 02:30", "2026-10-25 02:30:00 +2", "came twice"),
        ("sunday 2:30", "2026-10-25 02:30:00 +2", "came twice"),
    ],
)
def test_time_that_comes_twice_or_never_is_told(text: str, expected: str, words: str, is_end: bool) -> None:
    """The same choice as for a moment of the past, said alike."""
    assert read(text, is_end=is_end) == expected
    assert words in str(understand_ahead(text, now=in_local_zone(NOW), is_end=is_end)[1])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whenever", ""),
        ("", ""),
        ("4711", ""),
        ("HEAD~1", ""),
        ("@login:completed", ""),
        ("in 2 hours ago", ""),
        ("-2h", ""),
        ("1.5h", ""),
        ("in 999999 weeks", ""),
        ("in 99999 years", ""),
        ("9" * 5_000 + "h", ""),
        ("2026-02-30", ""),
        ("25:00", ""),
        ("1/2/2027", ": such numbers can be read in several orders"),
        ("next week", ": it may mean several moments"),
        ("tonight", ": it may mean several moments"),
        ("17:00 CET", ": CET can be several time zones"),
        ("fri, 24 dec 2026", ": 2026-12-24 is a Thursday"),
        ("17:00 Mars/Olympus", ": the time zone Mars/Olympus is not known"),
    ],
)
def test_what_names_no_time_is_refused(text: str, why: str) -> None:
    """With the reason, where it is known, and with what is understood."""
    with pytest.raises(TimeSyntaxError) as refused:
        read(text)
    assert f"is not a time{why}" in str(refused.value)
    assert str(refused.value).endswith(TimeSyntaxError.ADVICE)
    assert len(str(refused.value)) < 400


@given(
    st.integers(100_000, 3_786_912_000),
    st.sampled_from(
        ["tomorrow", "fri", "sunday", "24 dec", "17:00", "noon", "2h", "3 days", "in a month", "mon 2:30", "now"]
    ),
)
def test_words_never_lead_back(seconds: int, text: str) -> None:
    """Whenever they are said, the end that they name has not passed."""
    now = datetime.fromtimestamp(seconds, UTC)
    found, _ = understand_ahead(text, now=in_local_zone(now), is_end=True)
    assert found >= now - timedelta(seconds=1)


@given(st.dates(date(1971, 1, 1), date(2090, 1, 1)))
def test_days_follow_each_other(day: date) -> None:
    """Each ends a second before the next begins."""
    end, _ = understand_ahead(f"{day}", now=in_local_zone(NOW), is_end=True)
    following, _ = understand_ahead(f"{day + timedelta(days=1)}", now=in_local_zone(NOW), is_end=False)
    assert following - end == timedelta(seconds=1)
