"""Dates with the month as a word: `Nov 24 17:00`, `Tue, 24 Nov 2026`. Pure.

python-dateutil reads them. It guesses what is missing or given twice, so only text that means one day reaches it.
docs/decisions/0034.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from town.reading.day_words import CLOCK, COUNT, WEEKDAY, WEEKDAYS, number_of
from town.reading.moment import NotOneMomentError

_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR: Final = r"(?:19|2\d)\d{2}"
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?"
_OTHERS: Final = rf"{WEEKDAY}|{CLOCK}|(?:at|on|of|the)|[ ,.-]"
_KNOWN: Final = rf"(?:\b(?:{_MONTH}|{_YEAR}|{_DAY})\b|{_OTHERS})+"
_YEARS_TRIED: Final = 9
"""The 29th of February comes every four years, and around 1900 and 2100 every eight."""


def read_written_date(text: str, *, now: datetime, is_ahead: bool = False) -> datetime | None:
    """The time, without a zone, that words in lower case name; midnight if they name only a day. None: they are of another kind.

    Without a year it is the most recent such day, or with `is_ahead` the next one, which may be today. NotOneMomentError, ValueError: they name no day, or several.
    """
    if ago := re.fullmatch(rf"({COUNT}) (month|year)s? ago", text):
        return _calendar_from(-number_of(ago[1]), ago[2], now)
    if re.fullmatch(_KNOWN, text) is None or not re.search(rf"\b{_MONTH}\b", text):
        return None
    rest = re.sub(CLOCK, " ", text)
    years = re.findall(rf"\b{_YEAR}\b", rest)
    if len(re.findall(rf"\b{_DAY}\b", rest)) != 1 or len(years) > 1:
        raise NotOneMomentError(": give one day of one month, and the year in four digits")
    clock = now.replace(tzinfo=None)
    found = _read(text, int(years[0])) if years else (_next_to_come if is_ahead else _last_come)(text, clock)
    weekday = re.search(rf"\b{WEEKDAY}\b", text)
    if weekday is not None and WEEKDAYS.index(weekday[0][:3]) != found.weekday():
        raise NotOneMomentError(f": {found:%Y-%m-%d} {'was' if found <= clock else 'is'} a {found:%A}")
    return found


def read_calendar_ahead(text: str, *, now: datetime) -> datetime | None:
    """The time, without a zone, that is `2 months` or `a year` from now; None if the words, in lower case, are of another kind."""
    ahead = re.fullmatch(rf"({COUNT}) (month|year)s?", text)
    return None if ahead is None else _calendar_from(number_of(ahead[1]), ahead[2], now)


def _read(text: str, year: int) -> datetime:
    from dateutil.parser import parse  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types; few moments need it

    found: datetime = parse(text.replace("noon", "12:00"), default=datetime(year, 1, 1), ignoretz=True)  # noqa: DTZ001 - `placed` has the zone
    return found


def _last_come(text: str, clock: datetime) -> datetime:
    for year in range(clock.year, clock.year - _YEARS_TRIED, -1):
        try:
            found = _read(text, year)
        except ValueError:
            continue
        if found <= clock:
            return found
    raise ValueError(text)


def _next_to_come(text: str, clock: datetime) -> datetime:
    for year in range(clock.year, clock.year + _YEARS_TRIED):
        try:
            found = _read(text, year)
        except ValueError:
            continue
        if found.date() >= clock.date():
            return found
    raise ValueError(text)


def _calendar_from(count: int, unit: str, now: datetime) -> datetime:
    from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    months = count if unit == "month" else 12 * count
    found: datetime = now.replace(tzinfo=None) + relativedelta(months=months)
    return found
