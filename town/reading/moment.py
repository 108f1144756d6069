"""WHEN: how users name a moment of a town's past. Pure; the caller brings the clock.

1795398503973-522000       a position
4711                       the number of an event
2026-06-01T12:00:00Z       an RFC 3339 time
2026-06-01 12:00           a local time; without the time, midnight; without the date, today
2h                         an age: w, d, h, m, s, also combined, as in 1d12h
now
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger import Position
from town.reading.local_zone import in_local_zone

Moment = Position | int | datetime
"""A position, the number of an event, or an aware time."""

WHEN_HELP: Final = "a position, an event number, an RFC 3339 time, a local time, or an age like 2h"

_NUMBER = re.compile(r"#?([0-9]{1,15})")
_AGE = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?: ?ago)?")


def parse_moment(text: str, *, now: datetime) -> Moment:
    """The moment that `text` names. `now` is an aware time in the user's zone. ValueError if it names none."""
    text = text.strip()
    if number := _NUMBER.fullmatch(text):
        return int(number[1])
    if re.fullmatch(r"[0-9]{9,}-[0-9]+", text):
        return Position.parse(text)
    if text == "now":
        return now
    age = _AGE.fullmatch(text)
    if age is not None and any(age.groups()):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in age.groups())
        try:
            # Subtract in UTC: an hour is an hour, even across a change of the clock.
            return now.astimezone(UTC) - timedelta(
                weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
            )
        except OverflowError as error:
            raise ValueError(f"not a moment: {text!r}") from error
    return _parse_time(text, now)


def _parse_time(text: str, now: datetime) -> datetime:
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            hour, _, rest = text.partition(":")
            text = f"{now:%Y-%m-%d} {hour:0>2}:{rest}"
        time = datetime.fromisoformat(text.upper())
        # A time without a zone is the user's: the system knows the offset on that day.
        return in_local_zone(time) if time.tzinfo is None else time
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"not a moment: {text!r}") from error
