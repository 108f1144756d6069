"""A town moves to another server or a cluster and back: the same bytes at the same positions, while others write, whatever cuts it off."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Any, Final, Self

import pytest
import redis
from redis.connection import AbstractConnection

from ledger import (
    Acks,
    Closing,
    Door,
    EventsLostError,
    EventStore,
    Keys,
    LedgerClosedError,
    LedgerError,
    MoveNote,
    MoveState,
    Position,
    RunMark,
    StoreUnavailableError,
    TaskCreated,
    WrongExpectedEndError,
    acks,
    closing,
    exchange,
)
from ledger.lua.close import SEALED_TIME
from tests.integration.test_crash_matrix import Process
from tests.support.builders import append, task_id
from tests.support.clusters import Cluster, Node, running_cluster
from tests.support.histories import Filler
from tests.support.killed import MOVE_SWITCH, NEVER
from tests.support.processes import READY
from tests.support.towns import end_server
from tests.support.tt import Tt, run_here
from tests.support.waiting import wait_until
from town import MoveRefusedError, Town, Worker, move_town
from town import moving as moving_module
from town.folder.settings import RedisSettings, read_settings
from town.runs.heartbeat import Heartbeat

WRITERS: Final = 3
LAST_STEPS: Final = 18
"""Requests of a move from shortly before its ledger is closed."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), replicas=0) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    """A cluster without towns."""
    for node in running.nodes:
        node.ask("FLUSHALL")
    return running


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A server at a URL."""
    node = Node(tmp_path_factory.mktemp("server"))
    yield node
    node.kill()


@pytest.fixture
def server(lone: Node) -> Node:
    """A server at a URL, without towns."""
    lone.ask("FLUSHALL")
    return lone


@pytest.fixture
def replica(server: Node, tmp_path: Path) -> Iterator[Node]:
    """A replica of the server, in step with it."""
    node = Node(tmp_path / "replica", "--replicaof", f"127.0.0.1 {server.port}")
    try:
        wait_until(lambda: server.ask("WAIT", 1, 1_000) == 1)
        yield node
    finally:
        node.kill()


@pytest.fixture
def tt(capsys: pytest.CaptureFixture[str]) -> Tt:
    """`tt ARGUMENTS` in this process."""
    return partial(run_here, capsys)


@pytest.fixture
def town(folder: Path) -> Path:
    """The folder of a town with some history, on its own server."""
    with Town.init(folder, name="traveller") as opened:
        Filler(opened.backend.store, seed=1, tasks=20).fill(60)
        opened.page()
    return folder


def ledger_of(folder: Path) -> list[Any]:
    """All entries of the town's ledger, where it is now."""
    with Town.open(folder) as opened:
        return [entry for batch in opened.backend.store.read_entries() for entry in batch]


def assert_sound(folder: Path) -> None:
    with Town.open(folder) as opened:
        assert opened.upkeep.verify().findings == ()


# --- there and back --------------------------------------------------------------------------------------------------


def test_town_moves_to_a_cluster_and_back(town: Path, cluster: Cluster) -> None:
    """The same bytes at the same positions in both directions; what came since is all that is copied on the way back."""
    before = ledger_of(town)
    there = move_town(town, cluster.url)
    assert (there.events, there.copied, there.is_done) == (len(before), len(before), True)
    assert ledger_of(town) == before
    assert_sound(town)
    assert read_settings(town).redis.hash_tag
    with Town.open(town) as opened:
        opened.create("Written in the cluster")
    in_cluster = ledger_of(town)
    back = move_town(town, None)
    assert (back.events, back.copied) == (len(in_cluster), len(in_cluster) - len(before))
    assert ledger_of(town) == in_cluster
    assert_sound(town)
    assert read_settings(town).redis == RedisSettings()
    again = move_town(town, cluster.url)
    assert again.copied == 0
    assert ledger_of(town) == in_cluster
    assert_sound(town)


def test_receipts_of_the_old_place_hold_at_the_new_one(town: Path, cluster: Cluster) -> None:
    """What this machine was told before the move is missed if the new place loses it, although its keys have another form there."""
    with Town.open(town) as opened:
        told = opened.create("Told before the move").positions[-1]
    move_town(town, cluster.url)
    cluster.primary_of("traveller").ask("FLUSHALL")
    with Town.open(town) as opened:
        assert told in [each.position for each in opened.recovery.look().events]
        with pytest.raises(EventsLostError):
            opened.create("Refused")


def test_town_without_events_moves(folder: Path, cluster: Cluster) -> None:
    """A new town, too; and it can be written to at both places, one after the other."""
    Town.init(folder, name="empty").close()
    for url in (cluster.url, None, cluster.url):
        assert move_town(folder, url).is_done
        assert_sound(folder)
    with Town.open(folder) as opened:
        opened.create("The first")
    assert len(ledger_of(folder)) == 1
    assert move_town(folder, None).copied == 1
    assert_sound(folder)


def test_rest_of_the_settings_stays(town: Path, server: Node) -> None:
    """Comments, other tables and other programs' keys are as they were; the URL and what belongs to it are not."""
    path = town / "tinytown.toml"
    path.write_text('# ours\nname = "traveller"\nmax_agents = 7\n\n[redis]\n# where\n[other]\nurl = "theirs"\n')
    move_town(town, f"redis://{server.address}")
    assert path.read_text() == (
        '# ours\nname = "traveller"\nmax_agents = 7\n\n[redis]\n'
        f'url = "redis://{server.address}"\n# where\n[other]\nurl = "theirs"\n'
    )
    move_town(town, None)
    assert (
        path.read_text() == '# ours\nname = "traveller"\nmax_agents = 7\n\n[redis]\n# where\n[other]\nurl = "theirs"\n'
    )


def test_password_is_kept_apart(town: Path, tmp_path: Path) -> None:
    """A password in the URL is used, and is in no file of the town and in no message."""
    node = Node(tmp_path / "secret")
    try:
        node.ask("CONFIG SET", "requirepass", "hush-hush")
        moved = move_town(town, f"redis://:hush-hush@{node.address}")
        assert "hush" not in repr(moved) + (town / "tinytown.toml").read_text()
        assert_sound(town)
    finally:
        node.kill()


# --- the old place ---------------------------------------------------------------------------------------------------


def test_old_place_takes_no_events_and_says_where_the_town_is(town: Path, cluster: Cluster) -> None:
    """An open town learns it at its next read or write; what it left is all there, and sealed for programs that know no moves."""
    with Town.open(town) as late:
        before = ledger_of(town)
        move_town(town, cluster.url)
        for attempt in (lambda: late.create("Too late"), late.page, late.end):
            with pytest.raises(LedgerClosedError, match=r"it is at redis\+cluster://") as refused:
                attempt()
            assert refused.value.has_refused
        keys, client = late.keys, late.connection.client
        assert [entry for batch in EventStore(client, keys).read_entries() for entry in batch] == before
        [information] = exchange(client, [("XINFO", "STREAM", keys.ledger)])
        assert f"{SEALED_TIME}-{len(before)}".encode() in information
        # What an older program meets, whose script knows nothing of closed ledgers.
        exchange(client, [("XGROUP", "DESTROY", keys.ledger, "closed")])
        with pytest.raises(LedgerClosedError):
            late.create("Too late")
        assert [entry for batch in EventStore(client, keys).read_entries() for entry in batch] == before


def test_other_folder_follows(town: Path, server: Node, cluster: Cluster, tmp_path: Path, tt: Tt) -> None:
    """A folder of another machine names the old place: it is told, and `tt move-town` lets it follow without copying."""
    move_town(town, f"redis://{server.address}")
    other = tmp_path / "other"
    Town.init(other, name="traveller", url=f"redis://{server.address}").close()
    move_town(town, cluster.url)
    refused = tt("tasks", "--town", str(other))
    assert refused.code == 4
    assert f"it is at {cluster.url}" in refused.err
    assert f"`tt move-town {cluster.url}` lets this folder follow" in refused.err
    with pytest.raises(LedgerClosedError, match="it is at"):
        move_town(other, None)
    end_server(other)
    followed = move_town(other, cluster.url)
    assert (followed.is_finished_only, followed.copied) == (True, 0)
    assert ledger_of(other) == ledger_of(town)


# --- others write meanwhile ------------------------------------------------------------------------------------------


class Writers:
    """Threads that create tasks one after another; those that a moved town turns away open it again.

    After one of the `tolerated` errors they do so, too, and do not know what became of their last task.
    """

    def __init__(self, folder: Path, *tolerated: type[LedgerError]) -> None:
        self._folder = folder
        self._tolerated: tuple[type[LedgerError], ...] = (LedgerClosedError, *tolerated)
        self._stop = threading.Event()
        self.acknowledged: list[tuple[str, Position]] = []
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join()

    def _write(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                with suppress(*self._tolerated), Town.open(self._folder, actor=f"writer-{number}") as town:
                    while not self._stop.is_set():
                        made = town.create("One of many")
                        self.acknowledged.append((made.task.id, made.positions[-1]))
        except BaseException as error:  # noqa: BLE001 - the test says which
            self.failures.append(error)


def test_writers_lose_nothing(town: Path, cluster: Cluster) -> None:
    """Every acknowledged event is there once, at its position, however often the town moves while they write."""
    with Writers(town) as writers:
        for url in (cluster.url, None) * 2:
            seen = len(writers.acknowledged)
            assert move_town(town, url).is_done
            wait_until(lambda seen=seen: len(writers.acknowledged) > seen + 5 or writers.failures)  # type: ignore[misc]
    assert writers.failures == []
    entries = dict(ledger_of(town))
    assert len({at for _, at in writers.acknowledged}) == len(writers.acknowledged)
    for task, position in writers.acknowledged:
        assert f'"task":"{task}"'.encode() in entries[position.encode()][1]
    assert len(entries) == len({seq.split(b"-")[1] for seq in entries})
    assert_sound(town)


def test_writer_waits_while_the_town_moves(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that comes in the pause waits for its end, and is carried out where that is possible."""
    with Town.open(town) as opened:
        door = Closing(opened.connection.client, opened.keys)
        note = MoveNote(MoveState.MOVING, "elsewhere", "m", until_ms=door.now_ms() + 60_000)
        door.change(None, note, Door.CLOSED)
        assert opened.page().tasks, "readers go on"
        made: list[Any] = []
        with Town.open(town) as other:
            looked: list[bool] = []
            look = Closing.note

            def seen(door: Closing) -> MoveNote | None:
                looked.append(True)
                return look(door)

            monkeypatch.setattr(Closing, "note", seen)
            thread = threading.Thread(target=lambda: made.append(other.create("Waits")))
            thread.start()
            wait_until(lambda: len(looked) > 1)
            assert not made
            door.change(note, None, Door.OPEN)
            thread.join()
        assert made[0].positions


def test_move_that_died_in_the_pause_is_given_up_by_the_next_writer(town: Path) -> None:
    """Whoever closed the ledger and was not heard of since cannot seal it any more."""
    with Town.open(town) as opened:
        door = Closing(opened.connection.client, opened.keys)
        note = MoveNote(MoveState.MOVING, "elsewhere", "m", until_ms=door.now_ms() - 1)
        end = door.change(None, note, Door.CLOSED)
        assert opened.create("Goes on").positions
        with pytest.raises(LedgerClosedError, match="opened the ledger again"):
            door.change(note, MoveNote(MoveState.MOVED, "elsewhere", "m"), Door.SEALED, end=end)


def test_event_that_came_after_all_keeps_the_town(town: Path) -> None:
    """A ledger that ends elsewhere than what was copied is not sealed."""
    with Town.open(town) as opened:
        door = Closing(opened.connection.client, opened.keys)
        note = MoveNote(MoveState.MOVING, "elsewhere", "m")
        end = door.change(None, note, Door.CLOSED)
        moved = MoveNote(MoveState.MOVED, "elsewhere", "m")
        with pytest.raises(WrongExpectedEndError):
            door.change(note, moved, Door.SEALED, end=Position.of(ms=end.ms, seq=end.seq - 1))


def test_lost_reply_of_an_append_before_the_pause_is_found(client: redis.Redis, store: EventStore, keys: Keys) -> None:
    """An event that was written before the ledger closed is acknowledged, not refused."""
    door = Closing(client, keys)
    lost: list[bool] = []
    begin = store._append.begin

    def begin_and_lose(**arguments: Any) -> Any:
        finish = begin(**arguments)

        def fail() -> Any:
            if lost:
                return finish()
            lost.append(True)
            finish()
            door.change(None, MoveNote(MoveState.MOVED, "elsewhere", "m"), Door.SEALED)
            raise redis.ConnectionError

        return fail

    store._append.begin = begin_and_lose  # type: ignore[method-assign]
    positions = append(store, [TaskCreated(description="Once")])
    assert [str(at) for batch in store.read_batches() for at in (each.position for each in batch)] == positions


# --- what keeps a town from moving -----------------------------------------------------------------------------------


def test_place_with_another_town_of_that_name_is_refused(town: Path, server: Node, tmp_path: Path) -> None:
    """Nothing of it is changed, and the town is where it was."""
    with Town.init(tmp_path / "other", name="traveller", url=f"redis://{server.address}") as other:
        other.create("Theirs")
    theirs, ours = ledger_of(tmp_path / "other"), ledger_of(town)
    with pytest.raises(MoveRefusedError, match="has a town called 'traveller' already"):
        move_town(town, f"redis://{server.address}")
    assert (ledger_of(tmp_path / "other"), ledger_of(town)) == (theirs, ours)


def test_former_place_that_was_changed_is_refused(town: Path, server: Node) -> None:
    """What the town left is compared byte for byte before it is gone on with."""
    move_town(town, f"redis://{server.address}")
    move_town(town, None)
    with server.client() as client:
        key = Keys("traveller").ledger
        client.xdel(key, *[entry for entry, _ in client.xrange(key, count=1)])
    with pytest.raises(MoveRefusedError, match="is not the beginning of it any more"):
        move_town(town, f"redis://{server.address}")
    assert_sound(town)


def test_same_place_by_another_name_is_refused(town: Path) -> None:
    """A second way to the town's own server is not another place."""
    with pytest.raises(MoveRefusedError, match="is the place where it is"):
        move_town(town, f"unix://{town}/redis.sock")
    assert_sound(town)
    with Town.open(town) as opened:
        opened.create("Goes on")


def test_run_at_work_keeps_the_town(town: Path, server: Node) -> None:
    """A runner would not find its task again, so the town stays while one is at work."""
    with Town.open(town) as opened:
        task = opened.create("A run", agent="ada").task
        opened.start(task.id, run=RunMark("0" * 12, "build-3", 4711))
        heartbeat = Heartbeat(opened.connection.client, opened.keys, run="0" * 12, words="a run")
        heartbeat.begin()
        with pytest.raises(MoveRefusedError, match="a runner is at work"):
            move_town(town, f"redis://{server.address}")
        heartbeat.stop()
    assert move_town(town, f"redis://{server.address}").is_done


def test_place_with_too_few_replicas_is_refused(town: Path, server: Node, replica: Node) -> None:
    """Each command would end with code 6 there. The way to a place with a replica is free, and back with `local`."""
    assert replica.answers()
    settings = town / "tinytown.toml"
    move_town(town, f"redis://{server.address}")
    settings.write_text(settings.read_text(encoding="utf-8") + 'acks = "replicas:1"\n', encoding="utf-8")
    for is_dry in (True, False):
        with pytest.raises(
            MoveRefusedError, match=r"wait for 1 replica, by `acks` in \[redis\], and its own server .* has none"
        ):
            move_town(town, None, is_dry=is_dry)
    settings.write_text(settings.read_text(encoding="utf-8").replace("replicas:1", "local"), encoding="utf-8")
    assert move_town(town, None).is_done
    settings.write_text(settings.read_text(encoding="utf-8").replace("local", "replicas:1"), encoding="utf-8")
    assert move_town(town, f"redis://{server.address}").is_done


def test_dry_run_changes_nothing(town: Path, server: Node) -> None:
    """It says what there is to copy, and leaves no key, no note and no grant."""
    before = (town / "tinytown.toml").read_bytes()
    found = move_town(town, f"redis://{server.address}", is_dry=True)
    assert (found.copied, found.is_done) == (len(ledger_of(town)), False)
    assert server.ask("DBSIZE") == 0
    assert (town / "tinytown.toml").read_bytes() == before


def test_server_in_the_environment_is_not_moved_from(town: Path, server: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """REDIS_URL goes before the settings, so switching them would move nobody."""
    monkeypatch.setenv("REDIS_URL", f"redis://{server.address}")
    with pytest.raises(MoveRefusedError, match="REDIS_URL"):
        move_town(town, None)


# --- whatever cuts it off --------------------------------------------------------------------------------------------


def cut_off(folder: Path, url: str, number: int) -> bool:
    """Whether a move was killed right before its request `number`."""
    process = Process()
    try:
        process.expect(READY)
        process.tell(
            json.dumps({"work": "move", "folder": str(folder), "url": url, "number": number, "is_after": False})
        )
        return process.was_killed()
    finally:
        process.end()


def assert_whole(folder: Path, url: str, before: list[Any]) -> str:
    """One place has the town, or says where it is; a writer goes on, the same move ends well, nothing is lost. How it was found."""
    state = "left"
    with suppress(LedgerClosedError), Town.open(folder) as opened:
        opened.create("After the kill")
        state = "here"
    if state == "here" and read_settings(folder).redis.url == url:
        state = "there"
    else:
        assert move_town(folder, url).is_done
    after = ledger_of(folder)
    assert after[: len(before)] == before
    assert len(after) == len(before) + (state != "left")
    assert_sound(folder)
    return state


class Cuts:
    """Makes a town, cuts off its move before a request, and holds what follows to the promise."""

    def __init__(self, client: redis.Redis, socket: Path, server: Node, folder: Path) -> None:
        self._client = client
        self._socket = socket
        self._server = server
        self._folder = folder
        self.url = f"redis://{server.address}"

    def a_town(self, number: int) -> Path:
        """The only town of both servers."""
        self._client.flushall()
        self._server.ask("FLUSHALL")
        folder = self._folder / f"town-{number}"
        with Town.init(folder, name="traveller", url=f"unix://{self._socket}", is_registered=False) as opened:
            Filler(opened.backend.store, seed=7, tasks=5).fill(12)
        return folder

    def cut(self, number: int) -> str | None:
        """How the town was found after the kill before that request; None if the move needs fewer."""
        folder = self.a_town(number)
        before = ledger_of(folder)
        if not cut_off(folder, self.url, number):
            return None
        try:
            return assert_whole(folder, self.url, before)
        except BaseException as error:
            error.add_note(f"killed before request {number}")
            raise


@pytest.fixture
def cuts(client: redis.Redis, server_socket: Path, server: Node, tmp_path: Path) -> Cuts:
    return Cuts(client, server_socket, server, tmp_path)


def count_requests(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> int:
    """How many requests `call` makes, as `tests.support.killed` counts them."""
    sent: list[bytes] = []
    send: Any = AbstractConnection.send_packed_command

    def note(connection: Any, command: Any, check_health: bool = True) -> None:
        sent.append(b"".join([command] if isinstance(command, bytes) else command)[:40])
        send(connection, command, check_health)

    with monkeypatch.context() as patch:
        patch.setattr(AbstractConnection, "send_packed_command", note)
        call()
    return sum(b"CLIENT" not in each for each in sent)


def assert_in_order(states: list[str]) -> None:
    """First the town is where it was, then it has left and the next move finishes that, then it is there."""
    assert [state for state, _ in groupby(states)] == ["here", "left", "there"]


def test_kill_before_the_settings_change_is_finished_by_the_same_move(cuts: Cuts) -> None:
    """The town has left, and says where it is."""
    assert cuts.cut(MOVE_SWITCH) == "left"


def test_kill_at_the_last_steps_leaves_one_town(cuts: Cuts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short form: before some of the requests, and before each of those at the end, where the ledger is closed."""
    folder = cuts.a_town(NEVER)
    total = count_requests(monkeypatch, lambda: move_town(folder, cuts.url))
    states = [cuts.cut(number) for number in (1, total // 4, total // 2, *range(total - LAST_STEPS, total + 1))]
    assert_in_order([state for state in states if state is not None])


@pytest.mark.stress
@pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="long; TT_STRESS=1 runs it")
def test_kill_at_every_step_leaves_one_town(cuts: Cuts) -> None:
    """Before each request, until the move gets through."""
    states: list[str] = []
    for number in count(1):
        state = cuts.cut(number)
        if state is None:
            break
        states.append(state)
    assert_in_order(states)
    assert len(states) > LAST_STEPS


def test_error_before_the_last_step_opens_the_ledger_again(
    town: Path, server: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in the pause ends it."""

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moving_module._Moving, "_compare_ends", fail)
        with pytest.raises(KeyboardInterrupt):
            move_town(town, f"redis://{server.address}")
    began = time.monotonic()
    with Town.open(town) as opened:
        opened.create("At once")
    assert time.monotonic() - began < closing.CLOSED_SECONDS_MAX
    assert move_town(town, f"redis://{server.address}").is_done
    assert_sound(town)


def test_town_arrives_only_when_the_replicas_know_that_it_left(
    town: Path, server: Node, replica: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that takes over without knowing it would open the old ledger again. The same move, given again, finishes it."""
    before = ledger_of(town)
    move_town(town, f"redis://{server.address}")
    replica.pause()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(acks, "ACKS_MS_MAX", 300)
            with pytest.raises(
                StoreUnavailableError, match="it is not known that a replica would know it after a failover"
            ) as cut_off:
                move_town(town, None)
        assert "Give the same command again once replicas follow." in str(cut_off.value)
        with pytest.raises(LedgerClosedError), Town.open(town):
            pass
    finally:
        replica.go_on()
    wait_until(lambda: server.ask("WAIT", 1, 1_000) == 1)
    assert move_town(town, None).is_finished_only
    assert ledger_of(town) == before
    assert replica.client().get("tt:traveller:move") is not None


def test_failover_that_takes_back_that_the_town_left_keeps_the_town(
    town: Path, server: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy takes no events then: at no moment do both. The same move, given again, begins anew."""
    move_town(town, f"redis://{server.address}")
    confirm = Acks.confirm

    def take_back(self: Acks, position: Position | None) -> None:
        confirm(self, position)
        with redis.Redis(port=server.port) as client:
            door = Closing(client, Keys("traveller"))
            door.change(door.note(), None, Door.OPEN)

    with monkeypatch.context() as patch:
        patch.setattr(Acks, "confirm", take_back)
        with pytest.raises(LedgerClosedError, match="has lost the end of the move in a failover"):
            move_town(town, None)
    with Town.open(town) as opened:
        assert opened.connection.server is None
        last = opened.create("Written at the old place").positions[-1]
    move_town(town, None)
    with Town.open(town) as opened:
        assert opened.connection.server is not None
        assert opened.end() == last
    assert_sound(town)


def test_server_that_the_town_left_is_ended_by_stop(town: Path, server: Node, tt: Tt) -> None:
    """`tt stop` ends it, once; after that there is no own one to stop."""
    move_town(town, f"redis://{server.address}")
    assert "is stopped" in tt("stop", "--town", str(town)).out
    assert tt("stop", "--town", str(town)).code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give either a URL or --own-server."),
        (("redis://127.0.0.1:1", "--own-server"), "Give either a URL or --own-server."),
    ],
)
def test_place_is_named_once(words: tuple[str, ...], said: str, town: Path, tt: Tt) -> None:
    """Neither none nor two."""
    refused = tt("move-town", *words, "--town", str(town))
    assert refused.code == 2
    assert said in refused.err


def test_move_is_said_in_words_and_as_json(town: Path, server: Node, tt: Tt) -> None:
    """Where it is, how many events there are, and how long writers waited."""
    url = f"redis://{server.address}"
    events = len(ledger_of(town))
    there = tt("move-town", url, "--town", str(town), "--json").json
    assert {key: there[key] for key in ("town", "from", "to", "events", "copied", "is_done", "was_cut_off")} == {
        "town": "traveller",
        "from": f"its own server in {town}",
        "to": url,
        "events": events,
        "copied": events,
        "is_done": True,
        "was_cut_off": False,
    }
    back = tt("move-town", "--own-server", "--town", str(town)).out
    assert f"Town traveller is at its own server in {town} now, with {events} events, 0 of them copied." in back
    assert f"What is left at {url} takes no more events" in back


def test_worker_follows_the_town(town: Path, cluster: Cluster) -> None:
    """It learns at its next look that the town has left, and projects it where it is."""
    stop = threading.Event()
    worker = Worker(town, stop=stop, report=lambda _: None)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        with Town.open(town) as here:
            wait_until(here.upkeep.lease.is_taken)
        move_town(town, cluster.url)
        with Town.open(town) as there:
            wait_until(there.upkeep.lease.is_taken)
            append(there.backend.store, [TaskCreated(description="By nobody who projects")], task=task_id(900))
            wait_until(lambda: there.upkeep.projector.checkpoints.position() == there.end())
    finally:
        stop.set()
        thread.join()
    assert_sound(town)


def test_command_whose_town_leaves_after_its_append_is_done(
    town: Path, server: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events have moved along, so it is acknowledged, and shown where the town is."""
    with Town.open(town) as late:
        append_events = late.backend.store.append

        def append_and_leave(*arguments: Any, **options: Any) -> Any:
            positions = append_events(*arguments, **options)
            move_town(town, f"redis://{server.address}")
            return positions

        monkeypatch.setattr(late.backend.store, "append", append_and_leave)
        made = late.create("Right before")
    with Town.open(town) as there:
        assert there.task(made.task.id).position == made.positions[-1]
