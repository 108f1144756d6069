"""Days and times of the clock in words: `yesterday`, `last tuesday 17:00`, `5pm`, `noon yesterday`, `3 days ago at 9:00`. Pure.

A day without a time means its beginning, midnight. A weekday is the most recent one; with `last` it is never today.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from town.reading.local_zone import placed

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAY: Final = (
    r"(?:mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COUNT: Final = rf"an?|\d{{1,6}}|{'|'.join(_NUMBERS)}"
CLOCK: Final = r"noon|\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]m)?|\d{1,2} ?[ap]m"

_DAYS_FROM_TODAY: Final = {
    "today": 0,
    "yesterday": -1,
    "tomorrow": 1,
    "day before yesterday": -2,
    "day after tomorrow": 2,
}
_DAY: Final = (
    rf"(?:the )?(?P<named>{'|'.join(_DAYS_FROM_TODAY)})|(?P<which>last |next )?(?P<weekday>{WEEKDAY})"
    rf"|(?P<written>\d{{4}}-\d{{2}}-\d{{2}})|(?P<count>{COUNT}) (?P<unit>day|week)s? ago"
)
_PART: Final = rf"({COUNT}) (week|day|hour|minute|second)s?"
_AGE: Final = rf"{_PART}(?:,? (?:and )?{_PART})* ago"
_CLOCK: Final = rf"(?P<clock>{CLOCK})"
_FORMS: Final = (rf"(?:on )?(?:{_DAY})(?:,? (?:at )?{_CLOCK})?", rf"(?:at )?{_CLOCK}(?:,? (?:on )?(?:{_DAY}))?")
_DAYS_OF: Final = {"day": 1, "week": 7}


def read_age(text: str) -> timedelta | None:
    """`2 hours ago`, `a day and 30 minutes ago`, in lower case; None if it is not an age. OverflowError: too long."""
    if re.fullmatch(_AGE, text) is None:
        return None
    return sum((timedelta(**{f"{unit}s": number_of(word)}) for word, unit in re.findall(_PART, text)), timedelta())


def number_of(word: str) -> int:
    """The number that a COUNT means: `two` and `2` are 2, `a` and `an` are 1."""
    return int(word) if word.isdigit() else 1 if word in ("a", "an") else _NUMBERS.index(word) + 1


def read_day_words(
    text: str, *, now: datetime, zone: tzinfo | None, is_ahead: bool = False
) -> tuple[datetime, str | None] | None:
    """The moment and the choice, as `placed` gives them, of words in lower case; None if they are of another kind.

    A weekday is the most recent one, or with `is_ahead` the next one, which may be today. With `is_ahead`, so is a time alone.
    """
    found = re.fullmatch(_FORMS[0], text) or re.fullmatch(_FORMS[1], text)
    if found is None:
        return None
    clock = _clock_of(found["clock"])
    if found["weekday"] is None:
        day = _day_of(found, now.date())
        moment, note = placed(datetime.combine(day, clock), zone)
        names_day = found["named"] or found["written"] or found["count"]
        if is_ahead and not names_day and moment < now:
            return placed(datetime.combine(day + timedelta(days=1), clock), zone)
        return moment, note
    day = _weekday_of(found, now.date())
    if is_ahead and found["which"] is None:
        day = now.date() + timedelta(days=(day.weekday() - now.weekday()) % 7)
        moment, note = placed(datetime.combine(day, clock), zone)
        if found["clock"] is not None and moment < now:
            moment, note = placed(datetime.combine(day + timedelta(days=7), clock), zone)
        return moment, note
    moment, note = placed(datetime.combine(day, clock), zone)
    if found["which"] is None and moment > now:
        moment, note = placed(datetime.combine(day - timedelta(days=7), clock), zone)
    return moment, note


def _day_of(found: re.Match[str], today: date) -> date:
    if found["written"]:
        return date.fromisoformat(found["written"])
    if found["count"]:
        return today - timedelta(days=number_of(found["count"]) * _DAYS_OF[found["unit"]])
    return today + timedelta(days=_DAYS_FROM_TODAY[found["named"] or "today"])


def _weekday_of(found: re.Match[str], today: date) -> date:
    weekday = WEEKDAYS.index(found["weekday"][:3])
    if found["which"] == "next ":
        return today + timedelta(days=(weekday - today.weekday()) % 7 or 7)
    back = (today.weekday() - weekday) % 7
    return today - timedelta(days=back or 7 if found["which"] else back)


def _clock_of(text: str | None) -> time:
    """Midnight if there is no time. ValueError: no clock shows it."""
    if text is None:
        return time()
    if text == "noon":
        return time(12)
    half, digits = text[-2:], text.removesuffix("am").removesuffix("pm").strip()
    hour, minute, second = (int(part) for part in f"{digits}:0:0".split(":")[:3])
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute, second)
