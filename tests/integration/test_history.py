"""One task's history: followed from event to event backwards, whatever its length, and never silently shortened."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import redis

from ledger import (
    EventStore,
    HistoryBrokenError,
    HistoryCircularError,
    Keys,
    Position,
    TaskAssigned,
    TaskCreated,
    TaskNoted,
    TaskNotFoundError,
    TaskRemoved,
)
from ledger.event_store import HISTORIES_TOGETHER_MAX, HISTORY_PAGE_EVENTS
from tests.support.builders import TASK, append, task_id
from town import Town

LENGTHS = (1, HISTORY_PAGE_EVENTS - 1, HISTORY_PAGE_EVENTS, HISTORY_PAGE_EVENTS + 1, 3 * HISTORY_PAGE_EVENTS + 7)


@pytest.mark.parametrize("length", LENGTHS)
def test_history_has_every_event_of_the_task_in_order(store: EventStore, length: int) -> None:
    """Of any length, also at and around whole pages, with other tasks' events between."""
    append(store, [TaskCreated("other")], task=task_id(2))
    ours = append(store, [TaskCreated("a")])
    append(store, [TaskAssigned("worker-1")], task=task_id(2), expected=1)
    if length > 1:
        ours += append(store, [TaskNoted(str(number)) for number in range(length - 1)], expected=1)
    history = store.history(TASK)
    assert [event.position for event in history] == ours
    assert [event.version for event in history] == list(range(1, length + 1))
    assert [event.prev for event in history] == [None, *ours[:-1]]
    assert store.last_event(TASK) == history[-1]
    assert store.head(TASK) == (length, ours[-1])


def test_history_of_a_task_that_never_was_is_empty(store: EventStore) -> None:
    """Neither an empty ledger nor another task's events are damage."""
    assert store.history(TASK) == []
    append(store, [TaskCreated("other")], task=task_id(2))
    assert store.history(TASK) == []
    assert store.last_event(TASK) is None


def test_history_of_a_removed_task_stays_readable(client: redis.Redis, server_socket: Path, tmp_path: Path) -> None:
    """By alias, id and prefix; and when the task comes back, its history is one, with versions that go on."""
    assert client.dbsize() == 0
    with Town.init(tmp_path / "town", name="history", url=f"unix://{server_socket}") as town:
        task = town.create("a", alias="tt-1").task
        town.remove("tt-1")
        for reference in ("tt-1", task.id, task.id[:10]):
            steps = town.history(reference)
            assert [step.event.data for step in steps] == [TaskCreated("a", alias="tt-1"), TaskRemoved()]
        with pytest.raises(TaskNotFoundError):
            town.task("tt-1")
        town.create("b", alias="tt-1")
        versions = [(step.event.version, step.event.type) for step in town.history("tt-1")]
    assert versions == [(1, "task.created"), (2, "task.removed"), (3, "task.created")]


@pytest.mark.parametrize("missing", [0, 1, HISTORY_PAGE_EVENTS, HISTORY_PAGE_EVENTS + 1, -1])
def test_history_with_a_missing_event_names_its_position(
    store: EventStore, client: redis.Redis, keys: Keys, missing: int
) -> None:
    """The first, the last, one within a page and one at its edge: loss is told, and so is where."""
    positions = append(
        store, [TaskCreated("a"), *(TaskNoted(str(number)) for number in range(HISTORY_PAGE_EVENTS + 3))]
    )
    client.xdel(keys.ledger, positions[missing])
    with pytest.raises(HistoryBrokenError, match=positions[missing]):
        store.history(TASK)


def test_history_of_another_task_is_not_touched_by_a_missing_event(
    store: EventStore, client: redis.Redis, keys: Keys
) -> None:
    """What is whole stays readable."""
    lost = append(store, [TaskCreated("lost")])
    append(store, [TaskCreated("whole"), TaskNoted("still here")], task=task_id(2))
    client.xdel(keys.ledger, lost[0])
    assert [event.version for event in store.history(task_id(2))] == [1, 2]


@pytest.mark.parametrize("named", ["itself", "a later one"])
def test_history_that_goes_in_a_circle_ends_with_its_place(
    client: redis.Redis, store: EventStore, keys: Keys, named: str
) -> None:
    """Walking back strictly descends: an event whose `prev` is itself, or a later event, is damage with its position.

    The bug looked like this: `tt task history` read for ever, and took 1.3 GB in 25 seconds.
    """
    first, second = append(store, [TaskCreated("a"), TaskNoted("b")])
    third = Position.of(ms=second.ms, seq=3)
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(keys.ledger, second, second)  # type: ignore[assignment]
    named_position = second if named == "itself" else third
    altered = entries[0][1][b"event"].decode().replace(first, named_position)
    client.delete(keys.ledger)
    client.xadd(keys.ledger, {"event": altered}, id=second)
    client.xadd(keys.ledger, {"event": altered.replace(third, second)}, id=third)
    client.hset(keys.heads, TASK, f"2:{named_position}")
    with pytest.raises(HistoryCircularError, match=second):
        # Bounded, so that a walk without an end fails here.
        list(islice(store._walk_back(TASK), 2 * HISTORY_PAGE_EVENTS))


@pytest.mark.parametrize("limit", [1, 3, 7, HISTORIES_TOGETHER_MAX])
def test_histories_of_several_tasks_are_what_each_is_alone(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Up to the event that was asked for, however few are read together, and in their order."""
    monkeypatch.setattr("ledger.event_store.HISTORIES_TOGETHER_MAX", limit)
    tasks = [task_id(number) for number in range(1, 6)]
    ends: dict[str, str] = {}
    for number, task in enumerate(tasks, 1):
        positions = append(store, [TaskCreated("a"), *(TaskNoted(str(note)) for note in range(number))], task=task)
        ends[task] = positions[-1 if number % 2 else -2]
    found = store.histories_upto(ends)
    assert list(found) == tasks
    for task, events in found.items():
        assert events == [event for event in store.history(task) if event.position <= Position(ends[task])]
    assert store.histories_upto({}) == {}


def test_histories_of_several_tasks_name_a_missing_event(store: EventStore, client: redis.Redis, keys: Keys) -> None:
    """As one task's history does, also where the others are whole."""
    ends = {task_id(1): append(store, [TaskCreated("whole")], task=task_id(1))[-1]}
    lost, last = append(store, [TaskCreated("lost"), TaskNoted("n")], task=task_id(2))
    client.xdel(keys.ledger, lost)
    with pytest.raises(HistoryBrokenError, match=lost):
        store.histories_upto(ends | {task_id(2): last})


@pytest.mark.parametrize(
    ("named", "error"),
    [(None, HistoryCircularError), ("nowhere", HistoryBrokenError), ("x-1", HistoryBrokenError)],
    ids=["itself", "no position", "half a position"],
)
def test_histories_of_several_tasks_name_the_event_whose_predecessor_cannot_be(
    client: redis.Redis, store: EventStore, keys: Keys, named: str | None, error: type[Exception]
) -> None:
    """As one task's history does: an event that names itself, or what is not a position."""
    first, second = append(store, [TaskCreated("a"), TaskNoted("b")])
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(keys.ledger, second, second)  # type: ignore[assignment]
    altered = entries[0][1][b"event"].decode().replace(first, named or second)
    client.delete(keys.ledger)
    client.xadd(keys.ledger, {"event": altered}, id=second)
    with pytest.raises(error, match=second):
        store.histories_upto({TASK: second})
