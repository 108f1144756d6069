"""`diff`, `blame` and `why` of a town on a real server: of which tasks, at which moments, and what they read for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    Event,
    EventStore,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    TaskAdopted,
    TaskCancelled,
    TaskCompleted,
    TaskNoted,
    TaskNotFoundError,
)
from projections import DiffKind
from tests.support.builders import append, task_id
from town import Town
from town.reading.reasons import read_causes


@pytest.fixture
def town(server_socket: Path, client: redis.Redis, tmp_path: Path) -> Iterator[Town]:
    assert client.dbsize() == 0
    with Town.init(
        tmp_path / "town", name=f"diff-{uuid4().hex[:8]}", url=f"unix://{server_socket}", actor="lead"
    ) as town:
        yield town


@pytest.fixture
def lived(town: Town) -> Town:
    """A town of 14 events: one task is done, one removed, one handed over, one came and went."""
    town.create("Build it", alias="build", agent="ada", tags=("P0",))  # 1, 2
    town.create("Break it", alias="break")  # 3
    town.start("build")  # 4
    town.create("Sell it", alias="sell", agent="bob")  # 5, 6
    town.complete("build", result="Built")  # 7
    town.assign("sell", "ada")  # 8
    town.remove("break")  # 9
    town.create("Gone soon", alias="gone")  # 10
    town.remove("gone")  # 11
    town.note("sell", "half way")  # 12
    town.describe("sell", "Sell it dearly")  # 13
    town.tag("sell", add=["P1"])  # 14
    return town


def test_diff_tells_what_came_went_and_changed(lived: Town) -> None:
    """By alias, oldest first; what came and went in between is counted."""
    found = lived.diff(4)
    assert [(each.task.alias, each.kind) for each in found.tasks] == [
        ("build", DiffKind.CHANGED),
        ("break", DiffKind.REMOVED),
        ("sell", DiffKind.CREATED),
    ]
    assert (found.since.seq, found.until.seq, found.events, found.passing) == (4, 14, 10, 1)
    build = found.tasks[0]
    assert build.states == [State.RUNNING, State.COMPLETED]
    assert [(change.field, change.before, change.after) for change in build.changes] == [
        ("state", "running", "completed"),
        ("result", None, "Built"),
    ]


def test_diff_takes_no_fact_of_the_town_for_a_task(lived: Town) -> None:
    """A note on an event is an event between the moments, the first of its kind or a later one, and changes no board."""
    for expected in (1, 2):
        lived.annotator.annotate(3, "a note")
        found = lived.diff(14)
        assert (found.events, found.tasks, found.passing) == (expected, (), 0)
    found = lived.diff(15)
    assert (found.events, found.tasks, found.passing) == (1, (), 0)


def test_diff_the_other_way_round_takes_back(lived: Town) -> None:
    """From a later moment to an earlier one, what came is gone, and before and after change places."""
    there, back = lived.at(14).diff(4), lived.at(4).diff(14)
    assert [(each.kind, each.before, each.after, each.events) for each in back.tasks] == [
        ({"created": "removed", "removed": "created"}.get(each.kind, each.kind), each.after, each.before, each.events)
        for each in there.tasks
    ]


@pytest.mark.parametrize(
    ("wanted", "aliases"),
    [
        ({"agent": "bob"}, ["sell"]),
        ({"agent": "ada"}, ["build", "sell"]),
        ({"agent": "nobody"}, []),
        ({"tag": "P0"}, ["build"]),
        ({"tag": "P1", "agent": "bob"}, ["sell"]),
        ({"task_id": "sell"}, ["sell"]),
        ({"task_id": "break"}, ["break"]),
        ({"task_id": "build", "tag": "P1"}, []),
    ],
)
def test_diff_of_some_tasks_is_theirs_of_the_whole(lived: Town, wanted: dict[str, str], aliases: list[str]) -> None:
    """By who had them at any time, by tag at one of the moments, and of one task, which may be removed."""
    found = lived.diff(3, **wanted)
    assert [each.task.alias for each in found.tasks] == aliases
    whole = {each.task_id: each for each in lived.diff(3).tasks}
    assert [whole[each.task_id] for each in found.tasks] == list(found.tasks)


def test_diff_of_a_task_is_found_by_its_name_at_the_later_moment(lived: Town) -> None:
    """Also where that is the first one that was given."""
    assert [each.kind for each in lived.at(1).diff(14, task_id="sell").tasks] == [DiffKind.REMOVED]
    with pytest.raises(TaskNotFoundError):
        lived.at(4).diff(1, task_id="sell")


def test_diff_since_a_state_of_a_task_knows_the_task_by_every_name(lived: Town) -> None:
    """By alias and the beginning of an id; of a task that did not exist yet at the earlier moment too."""
    sell = lived.task("sell").id
    for moment in ("@build:completed", f"@{lived.task('build').id[:8]}:completed"):
        assert lived.diff(moment) == lived.diff(7)
    for moment in ("@sell:created", f"@{sell[:8]}:created"):
        assert lived.at(3).diff(moment) == lived.at(3).diff(5)


def test_diff_of_one_moment_is_empty(lived: Town) -> None:
    """Of now, of the past, and of a town without events."""
    assert lived.diff(14).tasks == lived.at(4).diff(4).tasks == ()
    assert lived.at(BEGINNING).diff(BEGINNING).events == 0


def test_diff_reads_the_events_between_and_the_histories_of_what_they_touch(
    lived: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event once, and no other task's history: not two replays."""
    read: list[RecordedEvent] = []
    asked: list[str] = []
    batches, histories = EventStore.read_batches, EventStore.histories_upto

    def count_batches(store: EventStore, *given: object, **named: object) -> Iterator[list[RecordedEvent]]:
        for batch in batches(store, *given, **named):  # type: ignore[arg-type]
            read.extend(batch)
            yield batch

    def count_histories(store: EventStore, ends: dict[str, str]) -> dict[str, list[RecordedEvent]]:
        asked.extend(ends)
        return histories(store, ends)

    monkeypatch.setattr(EventStore, "read_batches", count_batches)
    monkeypatch.setattr(EventStore, "histories_upto", count_histories)
    lived.at(12).diff(7)
    assert [recorded.position.seq for recorded in read] == [8, 9, 10, 11, 12]
    named = {lived.task("sell").id, lived.history("break")[0].event.task}
    assert set(asked) == named
    assert len(asked) == 2


def test_diff_of_an_adopted_task_has_its_times(town: Town) -> None:
    """Its state before is its record's, and not what its position would tell."""
    record = TaskAdopted(
        (),
        "Old",
        State.RUNNING,
        "2026-01-01T00:00:00.000Z",
        "2026-01-02T00:00:00.000Z",
        assigned_to="ada",
        started_at="2026-01-01T12:00:00.000Z",
    )
    store = town.backend.store
    append(store, [record], task=task_id(1))
    append(store, [TaskCompleted("x")], task=task_id(1), expected=1)
    [found] = town.diff(1).tasks
    assert found.before is not None
    assert found.before.started_at is not None
    assert (found.before.state, found.before.started_at.isoformat()) == (State.RUNNING, "2026-01-01T12:00:00+00:00")
    assert found.states == [State.RUNNING, State.COMPLETED]


def test_blame_of_a_removed_task_says_when_it_went(lived: Town) -> None:
    """It is not there, and the event before which it was is named."""
    with pytest.raises(TaskNotFoundError) as refused:
        lived.blame("break")
    assert refused.value.__notes__ == ["Event 9 removed it, by lead. At event 8 it was there."]
    assert lived.at(8).blame("break")[0].alias == "break"


def test_blame_and_why_of_the_past_know_nothing_of_what_came_later(lived: Town) -> None:
    """At a moment, each answers as it did then."""
    _, blamed = lived.at(8).blame("sell")
    assert {each.field: each.event.position.seq for each in blamed}["description"] == 5
    assert [cause.event.position.seq for cause in lived.at(7).why("sell").causes] == [5, 6]
    assert [cause.kind for cause in lived.why("sell").causes] == ["created", "given", "handed over"]
    assert lived.why("break").task is None


def test_why_follows_causes_of_causes(town: Town) -> None:
    """Across tasks, each event once; what is not there is left out, and a circle has an end."""
    store = town.backend.store
    task, other = town.create("One").task.id, town.create("Two").task.id
    first = town.events.last()[0].position
    noted = noted_because(store, other, version=2, cause=first)
    cancelled = noted_because(store, other, version=3, cause=noted.position, data=TaskCancelled("no use"))
    found = town.why(other)
    assert found.causes[-1].event == cancelled
    assert list(found.led_by) == [noted.at, first]
    assert town.why(task).led_by == {}
    nowhere = Position.of(ms=first.ms, seq=99)
    assert read_causes(store, [replace(cancelled, cause=nowhere)]) == {}
    assert list(read_causes(store, [replace(noted, cause=cancelled.at)])) == [cancelled.at, noted.at, first]


def noted_because(
    store: EventStore, task: str, *, version: int, cause: Position, data: Event | None = None
) -> RecordedEvent:
    event = NewEvent(task=task, version=version, actor="lead", command="c", data=data or TaskNoted("n"), cause=cause)
    store.append([event], {task: version - 1})
    return store.history(task)[-1]
