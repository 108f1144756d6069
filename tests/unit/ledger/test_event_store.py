"""The event store on an in-memory Redis with Lua: what its scripts give and refuse. Races and crashes are for the real server."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from ledger import (
    BEGINNING,
    BackdateRefusedError,
    EventStore,
    HistoryBrokenError,
    Keys,
    LedgerDamagedError,
    SequenceGapError,
    TaskAssigned,
    TaskCreated,
    TaskNoted,
    TaskStarted,
    WrongExpectedVersionError,
)
from tests.support.builders import TASK, an_event, append, task_id

KEYS = Keys("harbour")
OTHER = task_id(2)


@pytest.fixture
def memory() -> Iterator[fakeredis.FakeRedis]:
    with fakeredis.FakeRedis(version=(7,)) as client:
        yield client


@pytest.fixture
def store(memory: fakeredis.FakeRedis) -> EventStore:
    return EventStore(memory, KEYS, where="memory")


def test_append_then_history_gives_the_events(store: EventStore) -> None:
    """What was appended is read back in order; each event names the one before it."""
    positions = append(store, [TaskCreated("a"), TaskAssigned("bob"), TaskStarted()])
    history = store.history(TASK)
    assert [event.data for event in history] == [TaskCreated("a"), TaskAssigned("bob"), TaskStarted()]
    assert [event.position for event in history] == positions
    assert [event.prev for event in history] == [None, *positions[:-1]]
    assert [event.version for event in history] == [1, 2, 3]


def test_history_is_of_one_task_only(store: EventStore) -> None:
    """Tasks share the ledger's order, and each has its own history and versions."""
    append(store, [TaskCreated("a")])
    append(store, [TaskCreated("b")], task=OTHER)
    append(store, [TaskNoted("x")], expected=1)
    assert [event.position.seq for event in store.history(TASK)] == [1, 3]
    assert [event.position.seq for event in store.history(OTHER)] == [2]
    assert store.history(task_id(3)) == []


def test_history_longer_than_a_page_is_whole(store: EventStore) -> None:
    """Pages end nowhere in the result."""
    append(store, [TaskCreated("a"), *(TaskNoted(f"{number}") for number in range(1_200))])
    assert [event.version for event in store.history(TASK)] == list(range(1, 1_202))


def test_history_with_a_missing_event_is_damage(store: EventStore, memory: fakeredis.FakeRedis) -> None:
    """An event that another one names and that is not there is told, with its position."""
    positions = append(store, [TaskCreated("a"), TaskAssigned("bob"), TaskStarted()])
    memory.xdel(KEYS.ledger, positions[1])
    with pytest.raises(HistoryBrokenError) as caught:
        store.history(TASK)
    assert caught.value.position == positions[1]


def test_heads_are_version_and_position(store: EventStore, memory: fakeredis.FakeRedis) -> None:
    """`heads` holds `<version>:<position>` of each task's last event."""
    positions = append(store, [TaskCreated("a"), TaskAssigned("bob")])
    assert memory.hgetall(KEYS.heads) == {TASK.encode(): f"2:{positions[1]}".encode()}
    assert store.heads([TASK, OTHER]) == [(2, positions[1]), (0, BEGINNING)]
    assert store.heads([]) == []


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_append_with_stale_version_writes_nothing(store: EventStore, expected: int) -> None:
    """A failed guard names task, expected and actual version."""
    end = append(store, [TaskCreated("a")])[-1]
    with pytest.raises(WrongExpectedVersionError) as caught:
        append(store, [TaskNoted("x")], expected=expected)
    assert (caught.value.task_id, caught.value.expected, caught.value.actual) == (TASK, expected, 1)
    assert store.end() == end


def test_append_sent_twice_is_one_append(store: EventStore) -> None:
    """The same command again (its reply was lost) is told by its id: the positions it has, and no second event."""
    command = [an_event(TaskCreated("a"), command="c-1"), an_event(TaskNoted("x"), command="c-1", version=2)]
    first = store.append(command, {TASK: 0})
    append(store, [TaskNoted("by another")], expected=2)
    assert store.append(command, {TASK: 0}) == first
    assert store.end().seq == 3


def test_append_of_another_command_at_the_same_version_is_a_conflict(store: EventStore) -> None:
    """Only our own command id makes a conflict a success."""
    store.append([an_event(TaskCreated("a"), command="c-1")], {TASK: 0})
    with pytest.raises(WrongExpectedVersionError):
        store.append([an_event(TaskCreated("a"), command="c-2")], {TASK: 0})


def test_append_with_a_failed_guard_on_another_task_writes_nothing(store: EventStore) -> None:
    """A task may be guarded without an event, as a move guards its new parent's line."""
    append(store, [TaskCreated("a")], task=OTHER)
    with pytest.raises(WrongExpectedVersionError) as caught:
        store.append([an_event(TaskCreated("b"))], {TASK: 0, OTHER: 2})
    assert caught.value.task_id == OTHER
    assert store.head(TASK) == (0, BEGINNING)


def test_backdated_append_has_the_given_time(store: EventStore) -> None:
    """An import gives the time; one before the last event's is refused and writes nothing."""
    assert store.append([an_event(TaskCreated("a"))], {TASK: 0}, backdate_ms=5_000) == ["5000-1"]
    assert store.append([an_event(TaskNoted("x"), version=2)], {TASK: 1}, backdate_ms=5_000) == ["5000-2"]
    with pytest.raises(BackdateRefusedError, match=r"1970-01-01T00:00:04.999Z.*5000-2"):
        store.append([an_event(TaskNoted("y"), version=3)], {TASK: 2}, backdate_ms=4_999)
    assert store.end() == "5000-2"


def test_reads_page_through_the_ledger(store: EventStore) -> None:
    """Batches follow each other without a gap or overlap, up to a position and in both directions."""
    positions = append(store, [TaskCreated("a"), *(TaskNoted(f"{number}") for number in range(9))])
    batches = [[event.position for event in batch] for batch in store.read_batches(limit=4)]
    assert batches == [positions[:4], positions[4:8], positions[8:]]
    assert [event.position for event in store.read(positions[2], upto=positions[5])] == positions[3:6]
    assert [event.position for event in store.read_back(positions[5], limit=3)] == positions[4:1:-1]
    assert (store.start(), store.end()) == (positions[0], positions[-1])


def test_read_over_a_gap_is_damage(store: EventStore, memory: fakeredis.FakeRedis) -> None:
    """A missing sequence number stops the reader at the position after the gap (P3)."""
    positions = append(store, [TaskCreated("a"), TaskNoted("1"), TaskNoted("2"), TaskNoted("3")])
    memory.xdel(KEYS.ledger, positions[1], positions[2])
    with pytest.raises(SequenceGapError, match="2 to 3 are missing") as caught:
        store.read()
    assert (caught.value.position, caught.value.expected, caught.value.found) == (positions[3], 2, 4)


def test_number_and_time_lead_to_a_position(store: EventStore) -> None:
    """Event numbers and times are found without an index."""
    for version, ms in enumerate([1_000, 1_000, 3_000, 9_000], 1):
        data = TaskNoted("x") if version > 1 else TaskCreated("a")
        store.append([an_event(data, version=version)], {TASK: version - 1}, backdate_ms=ms)
    assert [store.position_of(number) for number in range(6)] == [None, "1000-1", "1000-2", "3000-3", "9000-4", None]
    assert [store.end_at(ms) for ms in (-5, 999, 1_000, 2_999, 3_000, 99_999)] == [
        BEGINNING,
        BEGINNING,
        "1000-2",
        "1000-2",
        "3000-3",
        "9000-4",
    ]


def test_key_of_another_type_is_damage(store: EventStore, memory: fakeredis.FakeRedis) -> None:
    """A ledger key that is no stream was written by something else; it is said so, not overwritten."""
    memory.set(KEYS.ledger, "mine")
    with pytest.raises(LedgerDamagedError, match="wrong type"):
        store.end()
    assert memory.get(KEYS.ledger) == b"mine"


def test_empty_ledger_has_no_events(store: EventStore) -> None:
    """Before the first event there is nothing, and nothing breaks."""
    assert (store.start(), store.end(), store.head(TASK)) == (BEGINNING, BEGINNING, (0, BEGINNING))
    assert (store.read(), store.read_back(), store.last_event(TASK), store.position_of(1)) == ([], [], None, None)


def test_find_tasks_by_prefix_finds_removed_ones_too(store: EventStore) -> None:
    """Every task that ever was can be found by its first characters."""
    for number in (1, 2, 10):
        append(store, [TaskCreated("a")], task=task_id(number))
    assert store.find_tasks("00000000-0000-4000-8000-00000000000", limit=5) == [task_id(1), task_id(2)]
    assert store.find_tasks("f", limit=5) == []
