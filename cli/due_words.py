"""When something is due, as a person says it: `in 2 h`, `3 days late`. Pure."""

from __future__ import annotations

from typing import Final

from cli.text import counted
from ledger import from_ms
from town import local_day

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_MINUTES_SAID_MAX: Final = 60
_HOURS_SAID_MAX: Final = 48
_DAYS_SAID_MAX: Final = 60
"""What is farther away is said as a date."""


def due_words(due_ms: int, *, now_ms: int) -> str:
    """How far a due time is from now, both milliseconds since 1970 UTC: `in 2 h`, `2 h late`, a date if it is far away."""
    distance = abs(due_ms - now_ms)
    minutes, hours, days = (_rounded(distance, size) for size in (_MINUTE_MS, _HOUR_MS, _DAY_MS))
    if minutes == 0:
        return "now"
    if days > _DAYS_SAID_MAX:
        words = local_day(from_ms(due_ms)).isoformat()
        return words if due_ms > now_ms else f"late, {words}"
    words = (
        f"{minutes} min"
        if minutes < _MINUTES_SAID_MAX
        else f"{hours} h"
        if hours < _HOURS_SAID_MAX
        else counted(days, "day")
    )
    return f"in {words}" if due_ms > now_ms else f"{words} late"


def _rounded(distance_ms: int, size_ms: int) -> int:
    return (distance_ms + size_ms // 2) // size_ms
