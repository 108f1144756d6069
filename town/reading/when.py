"""WHEN: how users name a moment of a town's past. Pure; the caller brings the clock.

1795398503973-522000       a position
4711                       the number of an event
HEAD~10                    ten events before the last one
@login:completed           when this task entered this state, the last time; @login:created
now                        the present, whatever the clocks say
2h                         an age: w, d, h, m, s, also combined, as in 1d12h; or in words: 2 hours ago
2026-06-01T12:00:00Z       an RFC 3339 time
2026-06-01 12:00           a local time; without the time, midnight; without the date, today
yesterday, tue 17:00       a day and a time in words (`day_words`)
24 Nov 2026 17:00          a date with the month as a word (`written_date`)

A time without a zone is the user's. Any time may end with UTC, UTC+1 or Europe/Berlin.
The modules for words are imported only if no fast form matches.

`understand_ahead` reads a time to come in the same forms: a weekday, a date without a year or a time without a date is then the
next one, and `2h`, `in 3 days` or `in 2 months` says how long from now.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from datetime import time as clock_time
from typing import Final

from ledger import Position, State
from town.reading.local_zone import in_local_zone, placed
from town.reading.moment import (
    CREATED,
    TEXT_CHARS_SHOWN,
    HeadBack,
    Moment,
    MomentSyntaxError,
    NotOneMomentError,
    Now,
    StateEntered,
    TimeSyntaxError,
    Understood,
)

_NUMBER: Final = r"#?([0-9]{1,15})"
_POSITION: Final = r"[0-9]{9,}-[0-9]+"
_HEAD: Final = r"(?i:HEAD)(?:~([0-9]{1,15}))?"
_AGE: Final = r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?: ?ago)?"
_CLOCK: Final = r"(\d{1,2}):(\d{2})(?::(\d{2}))?"
_HAS_CLOCK: Final = r"\d:\d{2}|\d ?[ap]m\b|\bnoon\b|\dT\d{2}|-\d{2} \d{2}|\bago\b"
"""What a text has that names more than a day."""
_ZONED: Final = (
    r"(?P<rest>.*\S)(?:\s*(?:(?:utc|gmt)(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?|(?<=\d)z)"
    r"|\s+(?P<bare>[+-]\d{2}:?\d{2})|\s+(?P<name>[a-z_]+(?:/[a-z0-9_+-]+){1,2}))"
)


def parse_moment(text: str, *, now: datetime) -> Moment:
    """The moment that `text` names. `now` is an aware time in the user's zone. MomentSyntaxError if it names none."""
    return understand(text, now=now).moment


def understand(text: str, *, now: datetime) -> Understood:
    """Like `parse_moment`, with the choice that was made. MomentSyntaxError."""
    text = text.strip()
    try:
        found = _event_of(text) or _age_of(text, now) or _time_of(text, now)
    except NotOneMomentError as error:
        raise MomentSyntaxError(text, str(error)) from error
    except (ValueError, OverflowError, OSError) as error:
        raise MomentSyntaxError(text, _why(text)) from error
    if found is None:
        raise MomentSyntaxError(text, _why(text))
    return found


def understand_ahead(text: str, *, now: datetime, is_end: bool) -> tuple[datetime, str | None]:
    """The time that `text` names, and the choice that was made; a day alone is its beginning, or its end if `is_end`.

    TimeSyntaxError.
    """
    text = text.strip()
    try:
        found = _read_ahead(text, now, is_end=is_end)
    except NotOneMomentError as error:
        raise TimeSyntaxError(text, str(error)) from error
    except (ValueError, OverflowError, OSError) as error:
        raise TimeSyntaxError(text, ": it is too far away" if _is_too_far(error) else _why(text)) from error
    if found is None or not isinstance(found.moment, datetime):
        raise TimeSyntaxError(text, _why(text))
    return found.moment, found.note


def _read_ahead(text: str, now: datetime, *, is_end: bool) -> Understood | None:
    if exact := _ahead_of(text, now) or _age_of(text, now):
        return exact
    found = _time_of(text, now, is_ahead=True)
    if found is None or not is_end or re.search(_HAS_CLOCK, text, re.IGNORECASE):
        return found
    assert isinstance(found.moment, datetime), "a time was read"
    return Understood(_end_of(found.moment, _split_zone(text)[1]))


def _end_of(day: datetime, zone: tzinfo | None) -> datetime:
    """The last second of the day, however long the day is."""
    midnight = datetime.combine(day.date() + timedelta(days=1), clock_time())
    following, _ = placed(midnight, zone)
    # Subtract in UTC: the clock may be changed at midnight.
    last = following.astimezone(UTC) - timedelta(seconds=1)
    return in_local_zone(last) if zone is None else last.astimezone(zone)


def _ahead_of(text: str, now: datetime) -> Understood | None:
    """The present, or how long from now: `2h`, `in 2 hours`, `3 days`, `5 min`, `in 2 months`."""
    if text.lower() == Now.NOW.value:
        return Understood(now)
    lowered = re.sub(r"(\d) *(?:([wdhs])|m(?:in)?)\b", _joined, text.lower().removeprefix("in ").strip())
    age = re.fullmatch(_AGE, lowered)
    if age is not None and any(age.groups()) and not lowered.endswith("ago"):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in age.groups())
        ahead = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    else:
        from town.reading.day_words import read_age  # noqa: PLC0415 - only words pay for it

        found = read_age(f"{lowered} ago")
        if found is None:
            return _calendar_ahead_of(lowered, now)
        ahead = found
    return Understood(now.astimezone(UTC) + ahead)


def _calendar_ahead_of(text: str, now: datetime) -> Understood | None:
    if not re.search(r" (?:month|year)s?$", text):
        return None
    from town.reading.written_date import read_calendar_ahead  # noqa: PLC0415 - with it comes python-dateutil

    time = read_calendar_ahead(text, now=now)
    return None if time is None else Understood(*placed(time))


def _joined(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2] or 'm'}"


def event_named(text: str) -> Position | int | None:
    """The event that `text` names by its position or number; None if it has another form. ValueError if no ledger has such a position."""
    if number := re.fullmatch(_NUMBER, text):
        return int(number[1])
    return Position.parse(text) if re.fullmatch(_POSITION, text) else None


def _event_of(text: str) -> Understood | None:
    """A moment that needs no clock: the present, an event, or a state that a task entered."""
    if text.lower() == Now.NOW.value:
        return Understood(Now.NOW)
    if (event := event_named(text)) is not None:
        return Understood(event)
    if head := re.fullmatch(_HEAD, text):
        return Understood(HeadBack(int(head[1] or 0)))
    if text.startswith("@"):
        return Understood(_state_entered(text))
    return None


def _state_entered(text: str) -> StateEntered:
    reference, _, entered = text[1:].rpartition(":")
    entered = entered.strip().lower()
    if not reference.strip() or entered not in (CREATED, *State):
        raise NotOneMomentError(f": after @TASK: comes {CREATED} or a state, one of {', '.join(State)}")
    return StateEntered(reference.strip(), entered)


def _age_of(text: str, now: datetime) -> Understood | None:
    age = re.fullmatch(_AGE, text)
    if age is not None and any(age.groups()):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in age.groups())
        ago = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    elif text.lower().endswith(" ago"):
        from town.reading.day_words import read_age  # noqa: PLC0415 - only words pay for it

        found = read_age(text.lower())
        if found is None:
            return None
        ago = found
    else:
        return None
    # Subtract in UTC: an hour is an hour, even across a change of the clock.
    return Understood(now.astimezone(UTC) - ago)


def _time_of(text: str, now: datetime, *, is_ahead: bool = False) -> Understood | None:
    rest, zone = _split_zone(text)
    if zone is not None:
        now = now.astimezone(zone)
    if clock := re.fullmatch(_CLOCK, rest):
        time = datetime(now.year, now.month, now.day, int(clock[1]), int(clock[2]), int(clock[3] or 0))  # noqa: DTZ001 - `placed` has the zone
        found = placed(time, zone)
        return Understood(*(placed(time + timedelta(days=1), zone) if is_ahead and found[0] < now else found))
    try:
        time = datetime.fromisoformat(rest.upper())
    except ValueError:
        return _words(rest, now, zone, is_ahead=is_ahead)
    if time.tzinfo is None:
        return Understood(*placed(time, zone))
    return None if zone is not None else Understood(time)


def _words(text: str, now: datetime, zone: tzinfo | None, *, is_ahead: bool) -> Understood | None:
    text = " ".join(text.lower().split())
    if len(text) > TEXT_CHARS_SHOWN or (not re.search("[a-z]", text) and not re.fullmatch(r"[0-9-]+ [0-9:]+", text)):
        return None
    from town.reading.day_words import read_day_words  # noqa: PLC0415 - only words pay for it

    if found := read_day_words(text, now=now, zone=zone, is_ahead=is_ahead):
        return Understood(*found)
    from town.reading.written_date import read_written_date  # noqa: PLC0415 - with it comes python-dateutil

    time = read_written_date(text, now=now, is_ahead=is_ahead)
    return None if time is None else Understood(*placed(time, zone))


def _split_zone(text: str) -> tuple[str, tzinfo | None]:
    """The text before the zone, and the zone; None if `text` names none."""
    found = re.fullmatch(_ZONED, text, re.IGNORECASE)
    if found is None:
        return text, None
    if found["name"]:
        return found["rest"], _zone_called(text[found.start("name") :])
    return found["rest"], _zone_at(found["offset"] or found["bare"] or "+0")


def _zone_at(offset: str) -> tzinfo:
    """The zone at `+1`, `-0330` or `+05:30`."""
    sign, digits = offset[0], offset[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > len("12") else (digits, "0")
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-distance if sign == "-" else distance)


def _zone_called(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - few moments name a zone so

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise NotOneMomentError(
            f": the time zone {name} is not known on this machine. UTC and UTC+1 always are"
        ) from error


def _is_too_far(error: Exception) -> bool:
    """Whether it is a time that Python has no date for: their last year is 9999."""
    return isinstance(error, OverflowError) or re.match(r"year \d+ is out of range", str(error)) is not None


def _why(text: str) -> str:
    """The reason, if it is known, so that the user reads more than that the text was not understood."""
    if re.fullmatch(r".*\d{1,4}[/.]\d{1,2}(?:[/.]\d{1,4})?\b.*", text):
        return ": such numbers can be read in several orders. Write the year first, as in 2026-11-24"
    if re.search(r"\b(?:week|month|year|morning|afternoon|evening|(?:to)?night|midnight)\b", text.lower()):
        return ": it may mean several moments. Name the day and the time"
    if zone := re.search(r"\d\s*([A-Z]{2,5})$", text):
        return f": {zone[1]} can be several time zones. Write UTC, UTC+1 or Europe/Berlin"
    return ""
