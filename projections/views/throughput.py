"""How much each agent created, completed and failed per day, and how long tasks waited and took.

A part is a day (UTC). Fields, all counts:

    created:<actor>             tasks this actor created
    completed:<agent>           tasks this agent completed
    failed:<agent>              tasks this agent failed
    waited:<bucket>:<agent>     times from created to started, by duration bucket
    worked:<bucket>:<agent>     times from started to completed or failed, by duration bucket

Durations are counted in buckets, so that the counts of several days can be added to get quantiles. Each power of two of
milliseconds has eight buckets. The arithmetic uses whole numbers only, so every machine counts alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

from ledger import Event, RecordedEvent, Task, TaskCompleted, TaskCreated, TaskFailed, TaskStarted, format_ms, ms_of
from projections.views.view import Counted, View

_BUCKET_BITS: Final = 3
_EXACT_MS_MAX: Final = 1 << (_BUCKET_BITS + 1)
_DAY_CHARS: Final = len("2026-11-23")
_DAY_MS: Final = 24 * 60 * 60 * 1_000


class Throughput(View):
    """Counts per day. Unlike the other views it follows events, because a task may end more than once."""

    name: ClassVar[str] = "throughput"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset()
    follows_events: ClassVar[frozenset[type[Event]]] = frozenset({TaskCreated, TaskStarted, TaskCompleted, TaskFailed})

    def tally(self, before: Task | None, recorded: RecordedEvent) -> tuple[Counted, ...]:
        fact, ms = type(recorded.data), ms_of(recorded.at)
        if fact is TaskCreated:
            return _created(ms // _DAY_MS, recorded.actor)
        if before is None or before.assigned_to is None:
            return ()
        if fact is TaskStarted:
            return _started(ms // _DAY_MS, before.assigned_to, bucket_of(ms - before.created_at_ms))
        if fact is not TaskCompleted and fact is not TaskFailed:
            return ()
        what = "completed" if fact is TaskCompleted else "failed"
        worked = None if before.started_at_ms is None else bucket_of(ms - before.started_at_ms)
        return _ended(ms // _DAY_MS, what, before.assigned_to, worked)


# A few agents end many tasks a day, so a rebuild makes the same values again and again.
@lru_cache(maxsize=4_096)
def _created(day: int, actor: str) -> tuple[Counted, ...]:
    return (Counted(day_of(day * _DAY_MS), f"created:{actor}"),)


@lru_cache(maxsize=4_096)
def _started(day: int, agent: str, waited: int) -> tuple[Counted, ...]:
    return (Counted(day_of(day * _DAY_MS), f"waited:{waited}:{agent}"),)


@lru_cache(maxsize=4_096)
def _ended(day: int, what: str, agent: str, worked: int | None) -> tuple[Counted, ...]:
    ended = Counted(day_of(day * _DAY_MS), f"{what}:{agent}")
    return (ended,) if worked is None else (ended, Counted(ended.part, f"worked:{worked}:{agent}"))


def day_of(ms: int) -> str:
    """The UTC day of a time, `2026-11-23`."""
    return format_ms(ms)[:_DAY_CHARS]


def bucket_of(duration_ms: int) -> int:
    """The number of the bucket that holds a duration; longer durations have higher numbers. Negative ones count as 0."""
    if duration_ms < _EXACT_MS_MAX:
        return max(duration_ms, 0)
    shift = duration_ms.bit_length() - _BUCKET_BITS - 1
    return (shift << _BUCKET_BITS) + (duration_ms >> shift)


def bucket_upper_ms(bucket: int) -> int:
    """The longest duration, in milliseconds, that the bucket holds."""
    if bucket < _EXACT_MS_MAX:
        return bucket
    shift = (bucket >> _BUCKET_BITS) - 1
    return (((bucket - (shift << _BUCKET_BITS)) + 1) << shift) - 1
