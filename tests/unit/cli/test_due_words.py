"""Due times as a person says them."""

from __future__ import annotations

from datetime import datetime

import pytest

from cli.due_words import due_words

NOW_MS = 1_795_398_503_973
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("distance_ms", "words"),
    [
        (0, "now"),
        (29_999, "now"),
        (-29_999, "now"),
        (30_000, "in 1 min"),
        (59 * MINUTE, "in 59 min"),
        (60 * MINUTE, "in 1 h"),
        (-2 * HOUR, "2 h late"),
        (47 * HOUR, "in 47 h"),
        (48 * HOUR, "in 2 days"),
        (-3 * DAY - HOUR, "3 days late"),
        (60 * DAY, "in 60 days"),
    ],
)
def test_distance_is_told_in_its_largest_unit(distance_ms: int, words: str) -> None:
    """Rounded to minutes, hours or days."""
    assert due_words(NOW_MS + distance_ms, now_ms=NOW_MS) == words


@pytest.mark.parametrize(
    ("hour_now", "due", "words"),
    [
        (15, "2026-11-25T23:59:59", "tomorrow"),
        (8, "2026-11-25T12:00:00", "tomorrow"),
        (20, "2026-11-25T09:00:00", "in 13 h"),
        (15, "2026-11-26T00:00:00", "in 33 h"),
        (15, "2026-11-26T23:59:59", "in 2 days"),
        (15, "2026-11-23T00:00:00", "39 h late"),
    ],
)
def test_tomorrow_is_the_next_day_from_a_day_off(hour_now: int, due: str, words: str) -> None:
    """Less than 24 hours are told in hours, and the day after tomorrow is not tomorrow, however near it is."""
    now = datetime(2026, 11, 24, hour_now).astimezone()
    assert due_words(in_ms(datetime.fromisoformat(due).astimezone()), now_ms=in_ms(now)) == words


def in_ms(time: datetime) -> int:
    return int(time.timestamp()) * 1000


@pytest.mark.parametrize(("distance_ms", "beginning"), [(61 * DAY, "2027-"), (-61 * DAY, "late, 2026-")])
def test_far_time_is_a_date(distance_ms: int, beginning: str) -> None:
    """Nobody counts more than 60 days."""
    assert due_words(NOW_MS + distance_ms, now_ms=NOW_MS).startswith(beginning)
