"""The timeline: its buckets have every event once, idle times are cut short, and marks are where they were."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from ledger import StreamEntry
from tests.support.towns import end_server
from town import Town
from web.timeline_times import GAP_SHARE, Timeline, compressed

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def timeline_of(events: list[tuple[int, str]]) -> Timeline:
    """A timeline of (ms, type), taken in in pieces."""
    entries: list[StreamEntry] = [
        (f"{ms}-{number}".encode(), [b"event", b'{"type":"%s","schema":1}' % kind.encode()])
        for number, (ms, kind) in enumerate(events, 1)
    ]
    timeline = Timeline()
    for start in range(0, len(entries), 70):
        timeline._take(entries[start : start + 70])
    return timeline


def some_events(seed: int, count: int) -> list[tuple[int, str]]:
    """Some seconds apart, now and then a night, and some at the same time."""
    chance, ms = Random(seed), START_MS
    events = []
    for _ in range(count):
        ms += chance.choice((0, 1, 1_000, 4_000, 4_000, 14 * HOUR_MS if chance.random() < 0.05 else 0))
        events.append((ms, chance.choice(("task.noted", "task.failed", "task.reopened", "task.completed"))))
    return events


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 2, 7, 300, 4_000])
def test_buckets_have_every_event_once(seed: int, count: int) -> None:
    """In order, without a gap between them; times and marks of each are those of its events."""
    events = some_events(seed, 1_000)
    buckets = timeline_of(events).buckets(count)
    assert 1 <= len(buckets) <= count
    assert (buckets[0].first, buckets[-1].last) == (1, len(events))
    assert all(later.first == earlier.last + 1 for earlier, later in pairwise(buckets))
    for bucket in buckets:
        own = events[bucket.first - 1 : bucket.last]
        kinds = Counter(kind for _, kind in own)
        assert (bucket.start_ms, bucket.end_ms) == (own[0][0], own[-1][0])
        assert (bucket.failures, bucket.reopenings) == (kinds["task.failed"], kinds["task.reopened"])


def test_idle_time_is_cut_short() -> None:
    """A month without events takes 1/200 of what it took, so the hour before it and the one after it have buckets of their own."""
    busy = [(START_MS + second * 10_000, "task.noted") for second in range(360)]
    later = [(ms + 30 * 24 * HOUR_MS, kind) for ms, kind in busy]
    places = compressed([ms for ms, _ in (*busy, *later)])
    whole = later[-1][0] - START_MS
    assert places[360] - places[359] == whole / GAP_SHARE
    assert places[359] == busy[-1][0] - START_MS
    buckets = timeline_of([*busy, *later]).buckets(100)
    assert sum(bucket.last <= 360 for bucket in buckets) >= 15
    assert sum(bucket.first > 360 for bucket in buckets) >= 15


def test_times_keep_their_order_and_short_gaps_their_length() -> None:
    """Nothing but long gaps is changed."""
    times = [ms for ms, _ in some_events(9, 500)]
    places, longest = compressed(times), (times[-1] - times[0]) / GAP_SHARE
    for (earlier, later), (start, end) in zip(pairwise(times), pairwise(places), strict=True):
        assert end - start == pytest.approx(min(later - earlier, longest), abs=0.01)


@pytest.mark.parametrize("events", [[], [(START_MS, "task.noted")], [(START_MS, "task.failed")] * 5])
def test_few_events_or_one_moment(events: list[tuple[int, str]]) -> None:
    """No event has no bucket; what happened at one moment is in one."""
    buckets = timeline_of(events).buckets(50) if events else Timeline().buckets(50)
    assert [(bucket.first, bucket.last) for bucket in buckets] == ([(1, len(events))] if events else [])


def test_marks_are_those_of_the_ledger(town: Town) -> None:
    """Read from a real ledger, on where it ended, no more at once than asked for; a text that names a type is no mark."""
    town.create('"type":"task.failed"')
    events = town.events.last(count=None)
    timeline, rounds = Timeline(), 0
    while timeline.position < town.end():
        timeline.read_on(town.backend.store, events_max=1)
        rounds += 1
    types = Counter(each.type for each in events)
    [whole] = timeline.buckets(1)
    assert (whole.first, whole.last) == (1, len(events))
    assert (whole.failures, whole.reopenings) == (types["task.failed"], types["task.reopened"])
    assert rounds == 1
    task = town.create("fails later").task
    town.start(task.id, agent="x")
    town.fail(task.id, error="no")
    timeline.read_on(town.backend.store)
    [whole] = timeline.buckets(1)
    assert (whole.last, whole.failures) == (town.end().seq, types["task.failed"] + 1)


def test_other_ledger_that_was_put_back_is_read_anew(town: Town, tmp_path: Path) -> None:
    """Whether it is shorter than what was read or longer: no event of the one before is shown."""
    try:
        with Town.init(tmp_path / "other", name="other", is_registered=False) as other:
            other.create("alone")
            timeline = Timeline()
            for read in (town, other, town):
                timeline.read_on(read.backend.store)
                [whole] = timeline.buckets(1)
                assert (timeline.position, whole.last) == (read.end(), read.end().seq)
    finally:
        end_server(tmp_path / "other")
