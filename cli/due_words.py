"""When something is due, as a person says it: `in 2 h`, `tomorrow`, `3 days late`. Pure but for the user's zone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cli.text import counted
from ledger import from_ms
from town import local_day, local_time

if TYPE_CHECKING:
    from ledger import Task

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


def due_at(due_ms: int, *, now_ms: int) -> str:
    """When something is due, and how far that is: `2026-12-01 17:00:00 UTC (in 2 h)`. The day is not said twice."""
    time = from_ms(due_ms)
    words = due_words(due_ms, now_ms=now_ms).removesuffix(local_day(time).isoformat()).removesuffix(", ")
    return f"{local_time(time)} ({words})" if words else local_time(time)


def times_words(task: Task, *, now_ms: int) -> str:
    """When a task is due, and may begin: `is due 2026-12-01 17:00:00 UTC (in 2 h)`."""
    due, begin = task.due_ms, task.not_before_ms
    words = [
        *([] if due is None else [f"is due {due_at(due, now_ms=now_ms)}"]),
        *([] if begin is None else [f"may begin {_begin_at(begin, now_ms=now_ms)}"]),
    ]
    return " and ".join(words) or "has no times"


def _begin_at(ms: int, *, now_ms: int) -> str:
    """A time before which nothing is begun is not late once it has passed."""
    return due_at(ms, now_ms=now_ms) if ms > now_ms else f"{local_time(from_ms(ms))} (already)"


def _words(minutes: int, hours: int, days: int) -> str:
    if minutes < _MINUTES_SAID_MAX:
        return f"{minutes} min"
    return f"{hours} h" if hours < _HOURS_SAID_MAX else counted(days, "day")


def _rounded(distance_ms: int, size_ms: int) -> int:
    return (distance_ms + size_ms // 2) // size_ms
