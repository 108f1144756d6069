"""What was created, completed and failed on each day by whom, and how long tasks waited and were worked on.

A part is a day (UTC). Fields, all counts:

    created:<actor>             tasks this actor created
    completed:<agent>           tasks this agent completed
    failed:<agent>              tasks this agent failed
    waited:<bucket>:<agent>     times from created to started, by duration bucket
    worked:<bucket>:<agent>     times from started to completed or failed, by duration bucket

Durations are counted in buckets, so that quantiles of any range of days add up. A bucket is an eighth of a power of two
of milliseconds; its numbers are whole, so every machine counts alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from ledger import RecordedEvent, Task, TaskCompleted, TaskCreated, TaskFailed, TaskStarted, format_ms
from projections.projection import Counted, View

_COUNTED: Final = frozenset({TaskStarted, TaskCompleted, TaskFailed})
_BUCKET_BITS: Final = 3
_EXACT_MS_MAX: Final = 1 << (_BUCKET_BITS + 1)
_DAY_CHARS: Final = len("2026-11-23")


class Throughput(View):
    """Counts of a day; unlike the other views it follows events, because a task may end more than once."""

    name: ClassVar[str] = "throughput"
    schema_version: ClassVar[int] = 1
    follows_events: ClassVar[bool] = True

    def tally(self, before: Task | None, recorded: RecordedEvent) -> Iterable[Counted]:
        data = recorded.data
        kind = type(data)
        if kind is TaskCreated:
            return (Counted(day_of(recorded.position.ms), f"created:{recorded.actor}"),)
        if before is None or before.assigned_to is None or kind not in _COUNTED:
            return ()
        agent, ms = before.assigned_to, recorded.position.ms
        day = day_of(ms)
        if kind is TaskStarted:
            return (Counted(day, f"waited:{bucket_of(ms - before.created_at_ms)}:{agent}"),)
        ended = Counted(day, f"{'completed' if kind is TaskCompleted else 'failed'}:{agent}")
        if before.started_at_ms is None:
            return (ended,)
        return ended, Counted(day, f"worked:{bucket_of(ms - before.started_at_ms)}:{agent}")


def day_of(ms: int) -> str:
    """The UTC day of a time, `2026-11-23`."""
    return format_ms(ms)[:_DAY_CHARS]


def bucket_of(duration_ms: int) -> int:
    """The number of the bucket that holds a duration; longer durations have higher numbers. Negative ones count as 0."""
    duration_ms = max(duration_ms, 0)
    if duration_ms < _EXACT_MS_MAX:
        return duration_ms
    shift = duration_ms.bit_length() - _BUCKET_BITS - 1
    return (shift << _BUCKET_BITS) + (duration_ms >> shift)


def bucket_upper_ms(bucket: int) -> int:
    """The longest duration, in milliseconds, that the bucket holds."""
    if bucket < _EXACT_MS_MAX:
        return bucket
    shift = (bucket >> _BUCKET_BITS) - 1
    return (((bucket - (shift << _BUCKET_BITS)) + 1) << shift) - 1
