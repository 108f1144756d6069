"""Throughput: durations in buckets that grow by an eighth, and what each event counts for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    Event,
    RecordedEvent,
    State,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskMoved,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
)
from projections.views.throughput import Throughput, bucket_of, bucket_upper_ms, day_of
from projections.views.view import Counted
from tests.support.builders import START_MS, a_task, a_task_in, recorded

DAY = "2026-11-23"
durations = st.integers(0, 10**13)


def event(data: Event) -> RecordedEvent:
    """The event, a millisecond after START_MS."""
    return recorded([data])[0]


def tally(data: Event, state: State | None, **fields: object) -> list[tuple[str | None, str]]:
    before = None if state is None else a_task_in(state, **fields)
    return [(counted.part, counted.field) for counted in Throughput().tally(before, event(data))]


# --- buckets -----------------------------------------------------------------------------------------------------


@given(durations)
def test_bucket_holds_its_duration_within_an_eighth(ms: int) -> None:
    """Its upper end is no less than the duration, and at most an eighth more."""
    upper = bucket_upper_ms(bucket_of(ms))
    assert ms <= upper <= ms + ms / 8


@given(durations, durations)
def test_buckets_are_in_the_order_of_durations(first: int, second: int) -> None:
    """A longer duration is never in an earlier bucket."""
    short, long = sorted([first, second])
    assert bucket_of(short) <= bucket_of(long)


@given(durations)
def test_bucket_ends_where_the_next_begins(ms: int) -> None:
    """No duration is in no bucket, or in two."""
    bucket = bucket_of(ms)
    upper = bucket_upper_ms(bucket)
    assert bucket_of(upper) == bucket
    assert bucket_of(upper + 1) == bucket + 1


def test_buckets_below_sixteen_are_exact() -> None:
    """Short durations are themselves; a clock that goes back counts as none."""
    assert [bucket_of(ms) for ms in range(-1, 17)] == [0, *range(17)]
    assert [bucket_upper_ms(bucket) for bucket in range(16)] == list(range(16))
    assert all(first < second for first, second in pairwise(map(bucket_upper_ms, range(400))))


@pytest.mark.parametrize(("ms", "upper"), [(16, 17), (17, 17), (18, 19), (1_000, 1_023), (60_000, 61_439)])
def test_bucket_upper_ends(ms: int, upper: int) -> None:
    """Kept as figures, because stored buckets must mean the same for ever."""
    assert bucket_upper_ms(bucket_of(ms)) == upper


def test_day_is_utc() -> None:
    """The day of a position's time."""
    assert day_of(START_MS) == DAY
    assert (day_of(0), day_of(86_400_000 - 1), day_of(86_400_000)) == ("1970-01-01", "1970-01-01", "1970-01-02")


# --- what an event counts for ------------------------------------------------------------------------------------


def test_creation_counts_for_its_actor() -> None:
    """Whoever gets the task."""
    assert tally(TaskCreated("a"), None) == [(DAY, "created:alice")]


def test_start_counts_how_long_the_task_waited() -> None:
    """From its creation, for the agent that has it."""
    assert tally(TaskStarted(), State.ASSIGNED) == [(DAY, "waited:1:worker-1")]
    assert tally(TaskStarted(), State.ASSIGNED, created_at_ms=START_MS - 999) == [
        (DAY, f"waited:{bucket_of(1_000)}:worker-1")
    ]


@pytest.mark.parametrize(("data", "word"), [(TaskCompleted("x"), "completed"), (TaskFailed("x"), "failed")])
def test_end_counts_for_the_agent_with_how_long_it_worked(data: Event, word: str) -> None:
    """From the start."""
    fields = tally(data, State.RUNNING, started_at_ms=START_MS - 19)
    assert fields == [(DAY, f"{word}:worker-1"), (DAY, f"worked:{bucket_of(20)}:worker-1")]


def test_end_of_a_task_that_never_started_counts_without_work() -> None:
    """As an adopted record may have it."""
    assert tally(TaskCompleted("x"), State.RUNNING, started_at_ms=None) == [(DAY, "completed:worker-1")]


@pytest.mark.parametrize("data", [TaskStarted(), TaskCompleted("x"), TaskFailed("x")])
def test_nobodys_event_counts_for_nobody(data: Event) -> None:
    """Where a ledger has lost events, a task may begin with anything, or be nobody's."""
    assert tally(data, None) == []
    assert list(Throughput().tally(a_task(), event(data))) == []


@pytest.mark.parametrize(
    "data",
    [
        TaskAssigned("worker-2"),
        TaskCancelled(None),
        TaskRequeued(),
        TaskReopened(),
        TaskDescribed("b"),
        TaskTagged(("a",), ()),
        TaskMoved(None),
        TaskNoted("n"),
        TaskRemoved(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_other_events_count_for_nothing(data: Event) -> None:
    """Neither created, completed nor failed."""
    assert tally(data, State.RUNNING) == []


def test_agent_with_a_colon_keeps_its_name() -> None:
    """The agent comes last, so it may hold anything."""
    assert Counted(DAY, "waited:1:a:b") in list(
        Throughput().tally(a_task_in(State.ASSIGNED, assigned_to="a:b"), event(TaskStarted()))
    )
