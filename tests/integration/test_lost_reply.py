"""Appends whose request or reply is lost on the way: each ends as exactly one append, or as a known refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ledger import (
    Basis,
    BasisDisturbedError,
    EventStore,
    Keys,
    LinkKind,
    NewEvent,
    Position,
    StoreUnavailableError,
    TaskAssigned,
    TaskCreated,
    TaskLinked,
    TaskNoted,
    TaskStarted,
    WrongExpectedVersionError,
    new_command_id,
)
from ledger.event_store import APPEND_ATTEMPTS_MAX
from projections import replay
from tests.support.builders import TASK, an_event, append, task_id
from tests.support.expected_keys import assert_projected
from tests.support.proxy import Fault, proxy
from tests.support.towns import trust
from town import Town

Faults = Mapping[int, Fault]
FAULTS = tuple(Fault)
RETRIES = {"without retries": Retry(NoBackoff(), 0), "with retries": Retry(NoBackoff(), 3)}


@pytest.fixture(params=list(RETRIES.values()), ids=list(RETRIES))
def retry(request: pytest.FixtureRequest) -> Retry:
    given: Retry = request.param
    return given


@contextmanager
def store_behind(
    client: redis.Redis,
    keys: Keys,
    sockets: tuple[Path, Path],
    faults: Faults,
    retry: Retry,
    on_cut: Callable[[], None] | None = None,
) -> Iterator[EventStore]:
    """A store whose requests go through a proxy; its scripts are known to the server, so appends are counted from 1."""
    EventStore(client, keys)
    upstream, path = sockets
    append_script, history_script = EventStore(client, keys)._append, EventStore(client, keys)._history
    client.script_load(append_script._script.script)
    client.script_load(history_script._script.script)
    with proxy(path, upstream, faults, on_cut), redis.Redis(unix_socket_path=str(path), retry=retry) as behind:
        yield EventStore(behind, keys)


@pytest.fixture
def sockets(server_socket: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The real server's socket, and the place of the proxy's."""
    return server_socket, tmp_path / "proxy.sock"


def events_of(store: EventStore) -> list[tuple[Position, str, int, str]]:
    return [(event.position, event.task, event.version, event.command) for event in store.read()]


def as_stored(events: list[NewEvent], positions: list[Position]) -> list[tuple[Position, str, int, str]]:
    return [
        (position, event.task, event.version, event.command) for event, position in zip(events, positions, strict=True)
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_append_whose_reply_or_request_is_lost_ends_as_one_event(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], fault: Fault, retry: Retry
) -> None:
    """Wherever the connection ended, the ledger has the event once, and the returned position is its own."""
    event = an_event(TaskCreated("once"))
    with store_behind(client, keys, sockets, {1: fault}, retry) as behind:
        positions = behind.append([event], {TASK: 0})
    assert events_of(store) == as_stored([event], positions)


@pytest.mark.parametrize("fault", FAULTS)
def test_append_of_several_tasks_whose_reply_or_request_is_lost_ends_as_one_append(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], fault: Fault, retry: Retry
) -> None:
    """Several events over several tasks, with one more guard: all of them once, in order, and all positions right."""
    append(store, [TaskCreated("guarded only")], task=task_id(9))
    append(store, [TaskCreated("known")], task=task_id(2))
    command = new_command_id()
    events = [
        an_event(TaskCreated("new"), task=task_id(1), command=command),
        an_event(TaskAssigned("worker-1"), task=task_id(2), version=2, command=command),
        an_event(TaskAssigned("worker-1"), task=task_id(1), version=2, command=command),
        an_event(TaskStarted(), task=task_id(2), version=3, command=command),
    ]
    with store_behind(client, keys, sockets, {1: fault}, retry) as behind:
        positions = behind.append(events, {task_id(1): 0, task_id(2): 1, task_id(9): 1})
    assert events_of(store)[2:] == as_stored(events, positions)
    assert [event.version for event in store.history(task_id(2))] == [1, 2, 3]


@pytest.mark.parametrize("fault", FAULTS)
def test_choice_whose_reply_or_request_is_lost_takes_one_task_at_most(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], fault: Fault, retry: Retry
) -> None:
    """It is never sent again, because the second request could take another task: what was appended is found, or it says so."""
    tasks = [task_id(number) for number in (1, 2, 3)]
    for task in tasks:
        append(store, [TaskCreated("x")], task=task)
    basis = Basis(store.end(), frozenset())
    command = new_command_id()
    choices = [[an_event(TaskAssigned("ada"), task=task, version=2, command=command)] for task in tasks]
    with store_behind(client, keys, sockets, {1: fault}, retry) as behind:
        if fault is Fault.CUT_AFTER:
            events, positions = behind.append_first(choices, basis)
            assert events_of(store)[3:] == as_stored(list(events), positions)
        else:
            with pytest.raises(StoreUnavailableError):
                behind.append_first(choices, basis)
    assert len(store.read()) == (4 if fault is Fault.CUT_AFTER else 3)


def test_choice_passes_over_what_others_took(store: EventStore) -> None:
    """In one call; without a choice left it is a conflict, and an event that disturbs the basis refuses all of them."""
    tasks = [task_id(number) for number in (1, 2, 3)]
    for task in tasks:
        append(store, [TaskCreated("x")], task=task)
    basis = Basis(store.end(), frozenset({TaskLinked}))
    choices = [[an_event(TaskAssigned("ada"), task=task, version=2)] for task in tasks]
    append(store, [TaskNoted("x")], task=tasks[0], expected=1)
    taken, positions = store.append_first(choices, basis)
    assert (taken[0].task, positions) == (tasks[1], [store.end()])
    append(store, [TaskNoted("x")], task=tasks[2], expected=1)
    with pytest.raises(WrongExpectedVersionError):
        store.append_first([choices[0], choices[2]], basis)
    append(store, [TaskLinked(LinkKind.NEEDS, tasks[1])], task=tasks[0], expected=2)
    end = store.end()
    with pytest.raises(BasisDisturbedError):
        store.append_first([[an_event(TaskAssigned("ada"), task=tasks[0], version=4)]], basis)
    assert store.end() == end


def test_append_that_loses_two_replies_ends_as_one_event(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], retry: Retry
) -> None:
    """A request that is lost and then one whose reply is lost."""
    event = an_event(TaskCreated("once"))
    with store_behind(client, keys, sockets, {1: Fault.CUT_BEFORE, 2: Fault.CUT_AFTER}, retry) as behind:
        positions = behind.append([event], {TASK: 0})
    assert events_of(store) == as_stored([event], positions)


def test_append_with_the_clients_own_default_retries_ends_as_one_event(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path]
) -> None:
    """redis-py repeats a command by itself, unless told otherwise; the repeated append meets its own guard."""
    event = an_event(TaskCreated("once"))
    default = redis.Redis().get_retry()
    assert default is not None
    with store_behind(client, keys, sockets, {1: Fault.CUT_AFTER}, default) as behind:
        positions = behind.append([event], {TASK: 0})
    assert events_of(store) == as_stored([event], positions)


def test_append_that_never_gets_through_says_so(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path]
) -> None:
    """After a bound it gives up; nothing was written."""
    faults = dict.fromkeys(range(1, APPEND_ATTEMPTS_MAX + 1), Fault.CUT_BEFORE)
    with (
        store_behind(client, keys, sockets, faults, RETRIES["without retries"]) as behind,
        pytest.raises(StoreUnavailableError, match="did not answer"),
    ):
        behind.append([an_event(TaskCreated("never"))], {TASK: 0})
    assert store.read() == []


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER, Fault.LATE_FIRST])
def test_append_whose_reply_is_lost_is_found_under_later_events(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], fault: Fault, retry: Retry
) -> None:
    """Somebody else may have gone on from our event before we look: it is ours all the same, and it was first."""
    event = an_event(TaskCreated("ours"))
    others: list[Position] = []

    def go_on() -> None:
        if fault is Fault.CUT_AFTER:
            others.extend(append(store, [TaskNoted(str(number)) for number in range(3)], expected=1))

    with store_behind(client, keys, sockets, {1: fault}, retry, go_on) as behind:
        positions = behind.append([event], {TASK: 0})
    assert positions[0].seq == 1
    assert [recorded.position for recorded in store.read()] == positions + others


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.LATE_FIRST, Fault.LATE_LAST])
def test_append_whose_request_is_lost_conflicts_with_the_writer_that_came_between(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], fault: Fault, retry: Retry
) -> None:
    """The other writer won; ours is refused and is not in the ledger, also when the lost request arrives after all."""
    append(store, [TaskCreated("a")])

    def come_between() -> None:
        append(store, [TaskAssigned("the-other")], expected=1)

    with (
        store_behind(client, keys, sockets, {1: fault}, retry, come_between) as behind,
        pytest.raises(WrongExpectedVersionError) as caught,
    ):
        behind.append([an_event(TaskAssigned("us"), version=2)], {TASK: 1})
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert [event.data for event in store.read()] == [TaskCreated("a"), TaskAssigned("the-other")]


def test_backdated_append_whose_reply_is_lost_ends_as_one_event(
    client: redis.Redis, keys: Keys, store: EventStore, sockets: tuple[Path, Path], retry: Retry
) -> None:
    """Also where another writer has meanwhile recorded a later time, so that the repeated request is out of date.

    The bug looked like this: BackdateRefusedError, which says that nothing was written, though the event was there.
    """
    event = an_event(TaskCreated("long ago"))

    def record_now() -> None:
        append(store, [TaskCreated("now")], task=task_id(2))

    with store_behind(client, keys, sockets, {1: Fault.CUT_AFTER}, retry, record_now) as behind:
        positions = behind.append([event], {TASK: 0}, backdate_ms=1_000)
    assert positions == ["1000-1"]
    assert len(store.read()) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_command_of_a_town_whose_reply_is_lost_ends_as_one_event(
    client: redis.Redis, sockets: tuple[Path, Path], tmp_path: Path, fault: Fault
) -> None:
    """Through the door: the receipt, the task and the views are as if nothing had happened."""
    upstream, path = sockets
    Town.init(tmp_path / "town", name="lost-replies", url=f"unix://{upstream}").close()
    (tmp_path / "town" / "tinytown.toml").write_text(
        f'name = "lost-replies"\n[redis]\nurl = "unix://{path}"\n', encoding="utf-8"
    )
    trust(tmp_path / "town")
    with proxy(path, upstream, {}), Town.open(tmp_path / "town") as town:
        town.create("first")
    with proxy(path, upstream, {1: fault}), Town.open(tmp_path / "town") as town:
        receipt = town.create("Implement user authentication", agent="worker-1", tags=["backend"])
        assert [position.seq for position in receipt.positions] == [2, 3]
        assert town.task(receipt.task.id).version == 2
        assert town.page().total == 2
        store = EventStore(client, town.keys)
        assert [event.version for event in store.history(receipt.task.id)] == [1, 2]
        assert_projected(client, town.keys, replay(store))
