"""Times as the formats hold them: UTC, RFC 3339, milliseconds, `Z`. Pure; nothing here reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

TIME_MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, after which neither RFC 3339 nor Python has a time."""
_TIME_MS_MIN: Final = -62_135_596_800_000
"""The first millisecond of the year 1, before which Python has no time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 24 * 60 * 60 * 1_000


def from_ms(ms: int) -> datetime:
    """The aware UTC time of `ms` milliseconds since 1970; a time outside the calendar shows as its first or last one."""
    return _EPOCH + timedelta(milliseconds=_in_calendar(ms))


def to_ms(time: datetime) -> int:
    """Milliseconds since 1970 of an aware time, rounded down; one that its zone puts outside the calendar is its first or last one."""
    return _in_calendar(_since_epoch(time))


# Neighbouring events often have the same time.
@lru_cache(maxsize=4_096)
def format_ms(ms: int) -> str:
    """`2026-11-23T17:33:02.123Z`; a time outside the calendar shows as its first or last one."""
    day, ms_of_day = divmod(_in_calendar(ms), _DAY_MS)
    minute, ms_of_minute = divmod(ms_of_day, 60_000)
    seconds, milliseconds = divmod(ms_of_minute, 1_000)
    return f"{_format_day(day)}T{_format_minute(minute)}:{seconds:02d}.{milliseconds:03d}Z"


def _since_epoch(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def _in_calendar(ms: int) -> int:
    return max(_TIME_MS_MIN, min(ms, TIME_MS_MAX))


@lru_cache(maxsize=4_096)
def _format_day(day: int) -> str:
    return from_ms(day * _DAY_MS).date().isoformat()


@lru_cache(maxsize=24 * 60)
def _format_minute(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@lru_cache(maxsize=4_096)
def parse_rfc3339(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time, also of one outside the calendar; ValueError if it is not one or has no zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return _since_epoch(time)
