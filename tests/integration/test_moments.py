"""The moments that people name, and the events around them, on ledgers with every shape of time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from queue import Queue

import pytest
import redis

from ledger import (
    BEGINNING,
    EventStore,
    Keys,
    Position,
    RecordedEvent,
    SequenceGapError,
    TaskAssigned,
    TaskCreated,
    TaskNoted,
    TaskNotFoundError,
    TaskScheduled,
    TaskStarted,
)
from ledger.times import format_ms, from_ms
from tests.support.builders import START_MS, TASK, an_event, task_id
from town import EventFilter, MomentError, Town, local_time
from town.reading.event_reader import EventReader

BURST = 700
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EPOCH_MS = START_MS - 1_000 * DAY_MS
# Three events in one millisecond, then gaps from a millisecond to a year, and a burst in one millisecond.
TIMES_MS = [EPOCH_MS] * 3 + [EPOCH_MS + 1, EPOCH_MS + HOUR_MS, EPOCH_MS + 365 * DAY_MS]
TIMES_MS += [EPOCH_MS + 366 * DAY_MS] * BURST + [EPOCH_MS + 366 * DAY_MS + 5]


@pytest.fixture
def reader(store: EventStore) -> EventReader:
    return EventReader(store)


@pytest.fixture
def positions(store: EventStore) -> list[Position]:
    """A ledger whose events have the times TIMES_MS; returns their positions."""
    found = store.append([an_event(TaskCreated("a"))], {TASK: 0}, backdate_ms=TIMES_MS[0])
    while len(found) < len(TIMES_MS):
        ms = TIMES_MS[len(found)]
        together = TIMES_MS.count(ms) - sum(position.ms == ms for position in found)
        events = [an_event(TaskNoted("b"), version=len(found) + index) for index in range(1, together + 1)]
        found += store.append(events, {TASK: len(found)}, backdate_ms=ms)
    return found


def time_of(ms: int, *, microseconds: int = 0) -> datetime:
    return from_ms(ms) + timedelta(microseconds=microseconds)


# --- position_of, position_at ------------------------------------------------------------------------------------


def test_position_of_finds_every_event(store: EventStore, positions: list[Position]) -> None:
    """Over big gaps and over hundreds of events in one millisecond."""
    assert [position.ms for position in positions] == TIMES_MS
    assert [store.position_of(number) for number in range(1, len(positions) + 1)] == positions


def test_position_of_an_event_that_is_not_there_is_none(store: EventStore, positions: list[Position]) -> None:
    """Numbers begin at 1 and end with the last event."""
    assert store.position_of(0) is None
    assert store.position_of(-1) is None
    assert store.position_of(len(positions) + 1) is None


def test_position_of_in_an_empty_ledger_is_none(store: EventStore) -> None:
    """There is no first event yet; the ledger begins and ends at BEGINNING."""
    assert store.position_of(1) is None
    assert store.end() == store.start() == BEGINNING


@pytest.mark.usefixtures("positions")
def test_position_at_an_event_is_its_position(reader: EventReader, positions: list[Position]) -> None:
    """By number and by position, as values and as words."""
    for number in (1, 3, 4, 6, 7, 7 + BURST // 2, len(positions)):
        position = positions[number - 1]
        for moment in (number, position, str(position), str(number), f"#{number}"):
            assert reader.position_at(moment) == position


def test_position_at_a_time_is_the_last_event_until_then(reader: EventReader, positions: list[Position]) -> None:
    """All events of the same millisecond are in; between two events it is the one before."""
    assert reader.position_at(time_of(EPOCH_MS)) == positions[2]
    assert reader.position_at(time_of(EPOCH_MS, microseconds=999)) == positions[2]
    assert reader.position_at(time_of(EPOCH_MS + 1)) == positions[3]
    assert reader.position_at(time_of(EPOCH_MS + 2)) == positions[3]
    assert reader.position_at(time_of(EPOCH_MS + HOUR_MS - 1)) == positions[3]
    assert reader.position_at(time_of(TIMES_MS[6])) == positions[5 + BURST]
    assert reader.position_at(time_of(TIMES_MS[6] - 1)) == positions[5]
    assert reader.position_at(datetime.now(UTC)) == reader.position_at("now") == positions[-1]


@pytest.mark.usefixtures("positions")
@pytest.mark.parametrize("moment", [time_of(EPOCH_MS - 1), "1999-12-31T23:59:59Z", f"HEAD~{len(TIMES_MS)}"], ids=str)
def test_position_at_what_is_before_the_first_event_is_refused_with_what_there_is(
    reader: EventReader, moment: datetime | str
) -> None:
    """An empty board looked like one that had been emptied."""
    with pytest.raises(MomentError, match="is before the first event") as refused:
        reader.position_at(moment)
    first, last = local_time(time_of(EPOCH_MS)), local_time(time_of(TIMES_MS[-1]))
    assert f"The events of this town are 1 to {len(TIMES_MS)}, from {first} to {last}." in str(refused.value)


@pytest.mark.usefixtures("positions")
def test_since_before_the_first_event_begins_with_it(reader: EventReader, positions: list[Position]) -> None:
    """A limit names what to leave out, and here that is nothing: `--since 30d` of a young town."""
    assert len(reader.last(count=None, since=time_of(EPOCH_MS - 1))) == len(positions)
    with pytest.raises(MomentError, match="is before the first event"):
        reader.last(until=time_of(EPOCH_MS - 1))


def test_moments_of_an_empty_town(reader: EventReader) -> None:
    """There is a now, and nothing else."""
    assert reader.position_at("now") == BEGINNING
    for moment in ("HEAD", "1", "2h"):
        with pytest.raises(MomentError, match="This town has no events yet"):
            reader.position_at(moment)


def test_head_is_the_last_event_and_is_counted_back_from(reader: EventReader, positions: list[Position]) -> None:
    """HEAD~10 is ten events before it, also within a millisecond."""
    assert reader.position_at("HEAD") == reader.position_at("HEAD~0") == positions[-1]
    assert [reader.position_at(f"HEAD~{back}") for back in (1, 10, len(positions) - 1)] == [
        positions[-2],
        positions[-11],
        positions[0],
    ]
    assert [each.position for each in reader.last(since="HEAD~2")] == positions[-3:]


def test_now_is_the_end_where_the_clock_stands_behind_the_last_event(store: EventStore, reader: EventReader) -> None:
    """By the clock, all of it is still to come: the board was shown empty. What is since now is nothing."""
    positions = store.append([an_event(TaskCreated("a"))], {TASK: 0}, backdate_ms=START_MS * 2)
    assert reader.position_at("now") == positions[-1]
    assert reader.last(since="now") == []
    assert [each.position for each in reader.last(until="now")] == positions


def test_state_of_a_task_is_the_event_with_which_it_was_entered_last(town: Town) -> None:
    """By alias, id and the beginning of it; of a removed task too."""
    task_id = town.create("a", alias="login", agent="worker-1").task.id
    town.complete(task_id, result="done")
    town.reopen(task_id)
    town.assign(task_id, "worker-2")
    town.complete("login", result="again")
    town.create("other")
    town.remove(task_id)
    types = [event.type.partition(".")[2] for event in town.events.last(count=None)]
    assert types == [
        *("created", "assigned", "started", "completed"),
        *("reopened", "assigned", "started", "completed", "created", "removed"),
    ]
    entered = {"created": 1, "pending": 5, "assigned": 6, "running": 7, "completed": 8}
    for state, number in entered.items():
        for name in ("login", task_id, task_id[:8]):
            assert town.events.position_at(f"@{name}:{state}").seq == number, (name, state)
    assert town.at("@login:completed").task("login").result == "again"
    with pytest.raises(MomentError, match=r"was never failed\. It was pending, assigned, running, completed"):
        town.at("@login:failed")
    with pytest.raises(TaskNotFoundError):
        town.at("@logout:completed")


def test_now_of_a_town_is_the_town_itself(town: Town) -> None:
    """Nothing is folded for it."""
    task_id = town.create("a").task.id
    assert town.at("now").then is None
    assert town.at("now").task(task_id) == town.task(task_id)


@pytest.mark.usefixtures("positions")
@pytest.mark.parametrize(
    "moment",
    [
        "0",
        0,
        len(TIMES_MS) + 1,
        Position.of(ms=EPOCH_MS, seq=4),
        Position.of(ms=EPOCH_MS - 1, seq=1),
        Position.of(ms=TIMES_MS[-1], seq=len(TIMES_MS) + 1),
        "next week",
        "",
        "2026-02-30",
    ],
    ids=str,
)
def test_position_at_what_is_not_in_the_ledger_is_refused(reader: EventReader, moment: int | Position | str) -> None:
    """A number or position that is not an event's, and words that name no moment."""
    with pytest.raises(MomentError):
        reader.position_at(moment)


@pytest.mark.usefixtures("positions")
def test_position_at_a_time_to_come_is_refused(reader: EventReader) -> None:
    """The answer for a past moment never changes; for a future one it would."""
    for moment in (datetime.now(UTC) + timedelta(hours=1), "tomorrow"):
        with pytest.raises(MomentError, match=r"has not come yet\. The events of this town are 1 to \d+, from"):
            reader.position_at(moment)
        with pytest.raises(MomentError, match="has not come yet"):
            reader.last(since=moment)


def test_position_at_a_time_ahead_of_our_clock_is_answered_where_the_ledger_has_come_that_far(
    store: EventStore, reader: EventReader
) -> None:
    """The server's clock may be ahead of ours: its last event's time has come."""
    ahead_ms = START_MS * 2
    (position,) = store.append([an_event(TaskCreated("a"))], {TASK: 0}, backdate_ms=ahead_ms)
    assert reader.position_at(time_of(ahead_ms)) == position
    with pytest.raises(MomentError):
        reader.position_at(time_of(ahead_ms + 1))


def test_town_at_a_moment_never_changes(
    client: redis.Redis, server_socket: Path, tmp_path: Path, store: EventStore
) -> None:
    """Each past moment shows the same tasks after more has happened, by number, position and time."""
    assert client.dbsize() == 0
    assert store.end() == BEGINNING
    with Town.init(tmp_path / "town", name="moments", url=f"unix://{server_socket}") as town:
        task = town.create("a", agent="worker-1").task.id
        town.complete(task, result="done")
        shown = {number: town.at(number).page() for number in range(1, 5)}
        times = {number: town.at(town.events.last(count=None)[number - 1].position.time).page() for number in (2, 4)}
        town.reopen(task)
        town.remove(task)
        assert {number: town.at(number).page() for number in range(1, 5)} == shown
        for number, page in times.items():
            assert town.at(town.events.last(count=None)[number - 1].position.time).page() == page
        assert [shown[number].tasks[0].state for number in range(1, 5)] == [
            "pending",
            "assigned",
            "running",
            "completed",
        ]
        assert town.at(town.end()).page().tasks == ()
        assert town.replay(BEGINNING).page().tasks == ()
        with pytest.raises(TaskNotFoundError):
            town.at(6).task(task)


# --- events ------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(store: EventStore) -> list[RecordedEvent]:
    """Two tasks and three agents, an event a minute; returns the events."""
    steps = [
        (1, 1, "alice", TaskCreated("first")),
        (2, 1, "alice", TaskCreated("second")),
        (1, 2, "alice", TaskAssigned("worker-1")),
        (1, 3, "worker-1", TaskStarted()),
        (2, 2, "bob", TaskAssigned("worker-1")),
        (2, 3, "bob", TaskAssigned("worker-2")),
        (2, 4, "worker-2", TaskNoted("taken over")),
        (1, 4, "worker-1", TaskNoted("half way")),
    ]
    for minute, (task, version, actor, data) in enumerate(steps):
        event = an_event(data, task=task_id(task), version=version, actor=actor)
        store.append([event], {task_id(task): version - 1}, backdate_ms=START_MS - DAY_MS + minute * 60_000)
    return store.read()


def numbers(events: list[RecordedEvent]) -> list[int]:
    return [event.position.seq for event in events]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(), [1, 2, 3, 4, 5, 6, 7, 8]),
        (EventFilter(actor="alice"), [1, 2, 3]),
        (EventFilter(type="task.noted"), [7, 8]),
        (EventFilter(actor="worker-1", type="task.noted"), [8]),
        (EventFilter(agent="worker-1"), [3, 4, 5, 6, 8]),
        (EventFilter(agent="worker-2"), [6, 7]),
        (EventFilter(agent="worker-1", actor="bob"), [5, 6]),
        (EventFilter(actor="nobody"), []),
        (EventFilter(agent="nobody"), []),
    ],
    ids=str,
)
def test_events_are_those_that_match(reader: EventReader, wanted: EventFilter, expected: list[int]) -> None:
    """By actor, type and the agent who had the task before or after the event; `count` takes the last of them."""
    assert numbers(reader.last(wanted, count=None)) == expected
    assert numbers(reader.last(wanted, count=2)) == expected[-2:]
    assert reader.last(wanted, count=0) == []


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("agent", [None, "worker-1"])
def test_events_of_a_task_are_its_own(reader: EventReader, agent: str | None) -> None:
    """Combinable with agent, count and a stretch of time."""
    second = [2, 5, 6, 7] if agent is None else [5, 6]
    wanted = EventFilter(agent=agent)
    assert numbers(reader.last(wanted, task_id=task_id(2), count=None)) == second
    assert numbers(reader.last(wanted, task_id=task_id(2), count=1)) == second[-1:]
    assert numbers(reader.last(wanted, task_id=task_id(2), count=None, since=3, until=6)) == [5, 6]
    assert reader.last(wanted, task_id=task_id(3), count=None) == []


@pytest.mark.parametrize("agent", [None, "worker-1"])
def test_events_since_and_until_have_both_ends_in(
    reader: EventReader, told: list[RecordedEvent], agent: str | None
) -> None:
    """By number, position and time; a stretch that ends before it begins is empty."""
    mine = [event for event in told if agent is None or event.position.seq in (3, 4, 5, 6, 8)]
    for first in told:
        for last in told:
            expected = [event for event in mine if first.position <= event.position <= last.position]
            for since, until in (
                (first.position.seq, last.position.seq),
                (first.position, last.position),
                (first.position.time, last.position.time),
            ):
                found = reader.last(EventFilter(agent=agent), count=None, since=since, until=until)
                assert found == expected


@pytest.mark.usefixtures("positions")
def test_events_since_a_millisecond_of_many_events_has_them_all(reader: EventReader) -> None:
    """A time is a whole millisecond, a number is one event of it; more than one page is read."""
    burst = time_of(TIMES_MS[6])
    assert len(reader.last(count=None, since=burst, until=burst)) == BURST
    assert numbers(reader.last(count=None, since=burst, until=7)) == [7]
    assert numbers(reader.last(count=None, since=6 + BURST, until=burst)) == [6 + BURST]
    assert len(reader.last(count=None)) == len(TIMES_MS)
    assert numbers(reader.last(count=3)) == [len(TIMES_MS) - 2, len(TIMES_MS) - 1, len(TIMES_MS)]


def test_events_over_a_gap_stop_with_its_position(
    store: EventStore, reader: EventReader, client: redis.Redis, keys: Keys, positions: list[Position]
) -> None:
    """A reader is told that events are missing, rather than shown the rest as if that were all (P10)."""
    client.xdel(keys.ledger, positions[10])
    with pytest.raises(SequenceGapError, match=positions[11]):
        reader.last(count=None)
    with pytest.raises(SequenceGapError, match=positions[11]):
        list(store.read_batches())


# --- follow ------------------------------------------------------------------------------------------------------


class Follower:
    """Follows in a thread until `count` events came; `events` has them as they come."""

    def __init__(self, socket: Path, keys: Keys, wanted: EventFilter, *, count: int, after: Position) -> None:
        self.events: Queue[RecordedEvent] = Queue()
        self._source = socket, keys
        self._wanted, self._count, self._after = wanted, count, after
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        socket, keys = self._source
        with redis.Redis(unix_socket_path=str(socket)) as client:
            followed = EventReader(EventStore(client, keys)).follow(self._wanted, after=self._after)
            for event in islice(followed, self._count):
                self.events.put(event)

    def next(self) -> RecordedEvent:
        return self.events.get(timeout=10)

    def end(self) -> None:
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


def note(store: EventStore, version: int, *, actor: str = "alice") -> RecordedEvent:
    store.append([an_event(TaskNoted(str(version)), version=version, actor=actor)], {TASK: version - 1})
    return store.read_back(limit=1)[0]


def test_follow_yields_events_as_they_come(store: EventStore, keys: Keys, server_socket: Path) -> None:
    """Those after the position first, then each one before the next is even written."""
    (first,) = store.append([an_event(TaskCreated("a"))], {TASK: 0})
    second = note(store, 2)
    follower = Follower(server_socket, keys, EventFilter(), count=4, after=first)
    assert follower.next() == second
    for version in (3, 4, 5):
        assert follower.events.empty()
        written = note(store, version)
        assert follower.next() == written
    follower.end()


def test_follow_yields_what_matches(store: EventStore, keys: Keys, server_socket: Path) -> None:
    """Other events pass unseen, and do not hold up those that match."""
    (first,) = store.append([an_event(TaskCreated("a"))], {TASK: 0})
    follower = Follower(server_socket, keys, EventFilter(actor="bob"), count=1, after=first)
    note(store, 2)
    wanted = note(store, 3, actor="bob")
    assert follower.next() == wanted
    follower.end()


def test_follow_knows_who_had_a_task_before_it_began(store: EventStore, keys: Keys, server_socket: Path) -> None:
    """By agent: the assignment lies before the position from which events are followed."""
    events = [an_event(TaskCreated("a")), an_event(TaskAssigned("worker-1"), version=2)]
    last = store.append(events, {TASK: 0})[-1]
    follower = Follower(server_socket, keys, EventFilter(agent="worker-1"), count=1, after=last)
    written = note(store, 3)
    assert follower.next() == written
    follower.end()


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    assert client.dbsize() == 0
    with Town.init(tmp_path / "town", name="follow", url=f"unix://{server_socket}") as town:
        yield town


def test_follow_of_a_town_goes_on_from_the_end(town: Town) -> None:
    """Without a position it begins with what comes; a task may be named by alias."""
    town.create("before", alias="tt-1")
    followed = town.events.follow(task_id="tt-1", after=town.end())
    town.create("other")
    town.note("tt-1", "now")
    assert next(followed).data == TaskNoted("now")


def test_times_ahead_are_held_against_the_moment_that_was_asked_for(tmp_path: Path, server_socket: Path) -> None:
    """A task that might begin before WHEN was ready then, and one due before WHEN was late, though no event happened in between.

    They were held against the time of the last event.
    """
    between = format_ms(EPOCH_MS + HOUR_MS)
    events = [an_event(TaskCreated("a")), an_event(TaskScheduled(due=between, not_before=between), version=2)]
    with Town.init(tmp_path / "town", name="ahead", url=f"unix://{server_socket}") as town:
        town.backend.store.append(events, {TASK: 0}, backdate_ms=EPOCH_MS)
        then, last = town.at(time_of(EPOCH_MS + DAY_MS)), town.at(2)
        assert (then.time_ms(), last.time_ms()) == (EPOCH_MS + DAY_MS, EPOCH_MS)
        assert [task.id for task in then.ready().tasks] == [TASK]
        assert then.waiting().for_time == 0
        assert last.ready().tasks == ()
        assert last.waiting().for_time == 1
        assert [task.id for task in town.at(2, time_ms=EPOCH_MS + HOUR_MS).ready().tasks] == [TASK]
