"""Flow: what is kept gives, for any moment, what a plain fold of the events until then gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from ledger import (
    TOWN_ID,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    StoreUnavailableError,
    Task,
    TaskCompleted,
    TaskReopened,
    evolve,
    format_ms,
)
from tests.support.histories import Filler
from tests.support.towns import end_server
from town import Town
from web import charts
from web.flow import Flow, KeptFlow
from web.problems import RETRY_SECONDS

HOURS_MS = 7_000_000
_COUNTED = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}


@pytest.fixture
def long_town(tmp_path: Path) -> Iterator[Town]:
    """A town with days, removals, reopenings, and an event that no command can make."""
    with Town.init(tmp_path / "long", name="long", is_registered=False) as opened:
        store = opened.backend.store
        Filler(store, seed=11, tasks=40).fill(600)
        task = opened.create("cannot be completed").task
        completed = NewEvent(task=task.id, version=2, actor="x", command="c", data=TaskCompleted())
        store.append([completed], {task.id: 1})
        opened.remove(opened.create("gone again").task.id)
        yield opened
    end_server(tmp_path / "long")


def plain(events: Sequence[RecordedEvent]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The days and the finished tasks, from whole tasks, one event after the other."""
    days: dict[str, dict[str, Any]] = {}
    tasks: dict[str, Task | None] = {}
    begun: dict[str, int] = {}
    finished: list[dict[str, Any]] = []
    for event in events:
        if event.task == TOWN_ID:
            continue
        known = tasks.get(event.task)
        before, started = (None, None) if known is None else (known.state, known.started_at_ms)
        task = tasks[event.task] = evolve(known, event)
        names = ("created", "completed", "failed", "cancelled", "reopened")
        day = days.setdefault(format_ms(event.position.ms)[:10], dict.fromkeys(names, 0))
        states = Counter(each.state for each in tasks.values() if each is not None)
        day["open"] = {state.value: states[state] for state in State}
        if task is None or task.state is before:
            continue
        ms = event.position.ms
        if before is None or isinstance(event.data, TaskReopened):
            day["created" if before is None else "reopened"] += 1
            begun[task.id] = ms
        elif task.state in _COUNTED:
            day[_COUNTED[task.state]] += 1
            if task.state is not State.CANCELLED:
                row: dict[str, Any] = {"number": event.position.seq, "time": format_ms(ms), "task": task.id}
                row |= {"lead_ms": ms - begun[task.id], "cycle_ms": None if started is None else ms - started}
                finished.append(row | {"title": task.title})
    return [{"day": name, **day} for name, day in days.items()], finished


def spread(events: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """The same events, some hours apart, so that they are on many days."""
    return [
        replace(each, at=f"{each.position.ms + number * HOURS_MS}-{each.position.seq}")
        for number, each in enumerate(events)
    ]


def test_any_moment_is_that_of_a_plain_fold(long_town: Town) -> None:
    """Days, what was open, and who finished after how long: taken in at once and in pieces, for moments of all ages."""
    events = spread(long_town.events.last(count=None))
    flow, chance = Flow(), Random(3)
    rest = events
    while rest:
        size = chance.randrange(1, 90)
        flow.take(rest[:size])
        rest = rest[size:]
    for count in [1, len(events), *(chance.randrange(1, len(events)) for _ in range(40))]:
        days, finished = plain(events[:count])
        number = events[count - 1].position.seq
        assert list(flow.days(number)) == days
        assert flow.finished(after=0, number=number).rows() == finished
        half = number // 2
        later = [each for each in finished if each["number"] > half]
        assert flow.finished(after=half, number=number).rows() == later
    assert len(plain(events)[0]) > 10


def test_only_new_events_are_read(long_town: Town) -> None:
    """What was read is kept; a moment of the past reads nothing."""
    kept, store = KeptFlow(), long_town.backend.store
    kept.upto(store, long_town.end(), wait_seconds=1)
    long_town.create("one more")
    with patch.object(store, "read_batches", wraps=store.read_batches) as read:
        assert kept.upto(store, Position("1-1"), wait_seconds=1) is not None
        assert read.call_count == 0
        end = long_town.end()
        flow = kept.upto(store, end, wait_seconds=1)
        assert flow is not None
        assert flow.position == end
        assert [call.args[0].seq for call in read.call_args_list] == [end.seq - 1]
    assert list(flow.days(end.seq)) == plain(long_town.events.last(count=None))[0]


def test_nothing_is_counted_twice_after_a_failure(long_town: Town) -> None:
    """Where reading failed on the way, all is read again the next time."""
    kept, store, end = KeptFlow(), long_town.backend.store, long_town.end()
    batches = store.read_batches(upto=end, limit=100)

    def fail(*_: object, **__: object) -> Iterator[list[RecordedEvent]]:
        yield next(batches)
        raise StoreUnavailableError("redis", "went away", "Try again.")

    with patch.object(store, "read_batches", fail), pytest.raises(StoreUnavailableError):
        kept.upto(store, end, wait_seconds=1)
    flow = kept.upto(store, end, wait_seconds=1)
    assert flow is not None
    assert list(flow.days(end.seq)) == plain(long_town.events.last(count=None))[0]


def test_older_ledger_that_was_put_back_is_read_anew(town: Town, long_town: Town) -> None:
    """A ledger that ends earlier than what was read is another one."""
    kept = KeptFlow()
    kept.upto(long_town.backend.store, long_town.end(), wait_seconds=1)
    assert town.end() < long_town.end()
    flow = kept.upto(town.backend.store, town.end(), wait_seconds=1)
    assert flow is not None
    assert list(flow.days(town.end().seq)) == plain(town.events.last(count=None))[0]


def test_other_ledger_that_is_longer_by_now_is_read_anew(town: Town, long_town: Town) -> None:
    """It ends later than what was read, and yet has other events."""
    kept = KeptFlow()
    kept.upto(town.backend.store, town.end(), wait_seconds=1)
    assert town.end() < long_town.end()
    flow = kept.upto(long_town.backend.store, long_town.end(), wait_seconds=1)
    assert flow is not None
    assert list(flow.days(long_town.end().seq)) == plain(long_town.events.last(count=None))[0]


def test_who_comes_while_all_is_read_is_asked_to_come_later(
    town: Town, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with when to come back; afterwards it is answered."""
    monkeypatch.setattr(charts, "_WAIT_SECONDS", 0.01)
    with patch.object(KeptFlow, "upto", lambda *_, **__: None):
        answer = client.get("/api/v1/charts")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(RETRY_SECONDS))
    kept = KeptFlow()
    with kept._lock:
        assert kept.upto(town.backend.store, town.end(), wait_seconds=0.01) is None
    assert client.get("/api/v1/charts").status_code == 200


def test_charts_of_an_age_have_no_tag(client: TestClient) -> None:
    """The same words are another period a day later; of all until now they are those of the end."""
    assert "etag" in client.get("/api/v1/charts").headers
    assert "etag" not in client.get("/api/v1/charts", params={"since": "7d"}).headers
