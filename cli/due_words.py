"""When something is due, as a person says it: `in 2 h`, `tomorrow`, `3 days late`. Pure but for the user's zone."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cli.text import counted
from ledger import from_ms
from town import local_day

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_MINUTES_SAID_MAX: Final = 60
_HOURS_OF_TODAY_MAX: Final = 24
_HOURS_SAID_MAX: Final = 48
_DAYS_SAID_MAX: Final = 60
"""What is farther away is said as a date."""


def due_words(due_ms: int, *, now_ms: int) -> str:
    """How far a due time is from now, both milliseconds since 1970 UTC: `in 2 h`, `tomorrow`, `3 days late`, a date if it is far away."""
    distance = abs(due_ms - now_ms)
    minutes, hours, days = (_rounded(distance, size) for size in (_MINUTE_MS, _HOUR_MS, _DAY_MS))
    if minutes == 0:
        return "now"
    day = local_day(from_ms(due_ms))
    if days > _DAYS_SAID_MAX:
        return day.isoformat() if due_ms > now_ms else f"late, {day.isoformat()}"
    if due_ms > now_ms and hours >= _HOURS_OF_TODAY_MAX and day == local_day(from_ms(now_ms)) + timedelta(days=1):
        return "tomorrow"
    words = _words(minutes, hours, days)
    return f"in {words}" if due_ms > now_ms else f"{words} late"


def _words(minutes: int, hours: int, days: int) -> str:
    if minutes < _MINUTES_SAID_MAX:
        return f"{minutes} min"
    return f"{hours} h" if hours < _HOURS_SAID_MAX else counted(days, "day")


def _rounded(distance_ms: int, size_ms: int) -> int:
    return (distance_ms + size_ms // 2) // size_ms
