"""Activity of random histories: a period is counted the same from its own events, and the counts are those of the view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    BEGINNING,
    Event,
    EventStore,
    Keys,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
    record,
)
from projections import NO_FIGURES, Activity, Board, count_activity, fold_stats
from projections import activity as activity_room
from projections.activity import durations
from projections.views.throughput import day_of
from tests.property.examples import examples
from tests.property.histories import TASKS, histories
from tests.property.test_rebuild_equals_live import fill
from tests.support.builders import START_MS

_EXAMPLES_MAX = 25
_CREATED, _REMOVED = TaskCreated("x", ("a",)), TaskRemoved()
_ASSIGNED: tuple[Event, ...] = (TaskAssigned("ada"), TaskAssigned("bob"))
_ENDED: tuple[Event, ...] = (TaskReopened(), TaskReopened(), _REMOVED)
_NEXT: Mapping[State | None, tuple[Event, ...]] = {
    None: (_CREATED,),
    State.PENDING: (*_ASSIGNED, *_ASSIGNED, TaskCancelled(), _REMOVED),
    State.ASSIGNED: (TaskStarted(), TaskStarted(), TaskStarted(), *_ASSIGNED, TaskRequeued(), TaskTagged(("b",))),
    State.RUNNING: (TaskCompleted(), TaskCompleted(), TaskFailed(), *_ASSIGNED, TaskRequeued(), TaskCancelled()),
    State.COMPLETED: _ENDED,
    State.FAILED: _ENDED,
    State.CANCELLED: _ENDED,
}
"""What may happen to a task next, so often as it is meant to happen."""


def lived(seed: int, length: int) -> list[RecordedEvent]:
    """So many events of a few tasks, each one that its task takes then."""
    chance, board, versions, ms = Random(seed), Board(), Counter[str](), START_MS
    events: list[RecordedEvent] = []
    for number in range(1, length + 1):
        task = chance.choice(TASKS[:3])
        before = board.get(task)
        fact = chance.choice(_NEXT[None if before is None else before.state])
        versions[task] += 1
        ms += chance.randrange(10**8)
        event = NewEvent(task=task, version=versions[task], actor="eve", command="c", data=fact)
        events.append(record(event, Position.of(ms=ms, seq=number)))
        board.fold(events[-1:])
    return events


lives = st.builds(lived, st.integers(0, 2**32), st.integers(0, 60))
"""Histories of tasks that end, are opened again and change hands, more often than where most commands are refused."""


def found(activity: Activity) -> list[object]:
    return [activity.total(), activity.events, activity.by(day=True, agent=True), activity.by(tag=True)]


def fresh() -> Activity:
    return Activity(day_of=day_of, has_tags=True)


@examples(_EXAMPLES_MAX)
@given(histories | lives, st.data())
def test_period_is_counted_the_same_from_histories_and_from_the_beginning(
    client: redis.Redis, events: list[RecordedEvent], data: st.DataObject
) -> None:
    """Wherever it begins and ends: with the history of each older task, or with all events before it, in memory or read."""
    client.flushall()
    keys = Keys("period")
    fill(client, keys, events)
    store = EventStore(client, keys)
    positions = [BEGINNING, *(recorded.position for batch in store.read_batches() for recorded in batch)]
    first = data.draw(st.integers(0, len(positions) - 1))
    last = data.draw(st.integers(first, len(positions) - 1))
    in_memory = fresh()
    in_memory.take_before(events[:first])
    in_memory.take(events[first:last])
    for events_per_history in (1, 10**9):
        activity = fresh()
        with pytest.MonkeyPatch.context() as patch:
            # With 1, the histories of so many tasks as there are events are worth it; with many, those of none.
            patch.setattr(activity_room, "EVENTS_PER_HISTORY", events_per_history)
            count_activity(store, activity, after=positions[first], upto=positions[last])
        assert found(activity) == found(in_memory)


@examples(_EXAMPLES_MAX)
@given(histories | lives)
def test_counts_are_those_of_the_view(client: redis.Redis, events: list[RecordedEvent]) -> None:
    """Created, completed and failed of each day (UTC) and agent, computed by other code from the same events."""
    client.flushall()
    keys = Keys("view")
    fill(client, keys, events)
    store = EventStore(client, keys)
    activity = fresh()
    count_activity(store, activity, after=BEGINNING, upto=store.end())
    days = sorted({day_of(each.position.ms) for each in events})
    rows = {(row.day, row.agent): row for row in fold_stats(store, days)}
    of_view = Counter({key: row.created + row.completed + row.failed for key, row in rows.items()})
    groups = activity.by(day=True, agent=True)
    ours = Counter({(day, agent or ""): each.created + each.ended for (day, agent), each in groups.items()})
    assert +ours == +of_view
    for key, row in rows.items():
        # A start that is not the first has a row there, and nothing here.
        figures = groups.get(key, NO_FIGURES)
        assert (figures.created, figures.completed, figures.failed) == (row.created, row.completed, row.failed)


@examples(100)
@given(lives, st.data())
def test_period_is_what_a_plain_scan_finds(events: list[RecordedEvent], data: st.DataObject) -> None:
    """Counts and times, from the names and times of events alone."""
    first = data.draw(st.integers(0, len(events)))
    activity = Activity()
    activity.take_before(events[:first])
    activity.take(events[first:])
    total = activity.total()
    counted, times = scanned(events, first)
    names = ("created", "completed", "failed", "cancelled", "reopened", "requeued", "handed_over", "removed")
    assert {name: getattr(total, name) for name in names} == {name: counted[name] for name in names}
    assert [total.lead, total.wait, total.work] == [durations(times[name]) for name in ("lead", "wait", "work")]


def scanned(events: list[RecordedEvent], first: int) -> tuple[Counter[str], dict[str, list[int]]]:
    counted: Counter[str] = Counter()
    times: dict[str, list[int]] = {"lead": [], "wait": [], "work": []}
    begun, started, agents, waits = {}, {}, dict[str, str | None](), dict[str, bool]()
    for number, recorded in enumerate(events):
        name, task, ms = recorded.type.removeprefix("task."), recorded.task, recorded.position.ms
        found: dict[str, int] = {}
        if name in ("created", "reopened"):
            begun[task], waits[task], agents[task] = ms, True, None
        elif name == "requeued":
            agents[task] = None
        elif isinstance(recorded.data, TaskAssigned):
            name = "handed_over" if agents[task] not in (None, recorded.data.agent) else name
            agents[task] = recorded.data.agent
        elif name == "started":
            started[task] = ms
            if waits[task]:
                found["wait"], waits[task] = ms - begun[task], False
        elif name in ("completed", "failed"):
            found = {"lead": ms - begun[task], "work": ms - started[task]}
        if number >= first:
            counted[name] += 1
            for each, measured in found.items():
                times[each].append(measured)
    return counted, times
