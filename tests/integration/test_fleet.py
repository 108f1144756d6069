"""All towns on a server or in a cluster: they are listed without a look at all keys, and one worker projects them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from ledger import TOWNS_KEY, EventStore, Keys, TaskCreated
from projections import Upkeep
from tests.integration.test_cluster import caught_up
from tests.support.builders import TASK, append
from tests.support.clusters import Cluster, Node, running_cluster
from tests.support.projectors import ProjectorProcess, running_projector
from tests.support.towns import end_server
from tests.support.tt import Tt, run_here
from tests.support.waiting import wait_until
from town import FleetWorker, Town, WorkerReport, fleet_worker, list_towns, move_town
from town.fleet import list_town
from town.server.bounded_client import LOOK_SECONDS
from town.server.nodes import nodes_of

TOWNS: Final = 30
STOP_SECONDS_MAX: Final = 1.5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """A whole cluster without towns."""
    for node in running.primaries():
        node.ask("FLUSHALL")
    yield running
    for node in running.nodes:
        if node.process is not None and node.process.poll() is not None:
            node.start()
    wait_until(running.is_whole)


@pytest.fixture
def tt(capsys: pytest.CaptureFixture[str]) -> Tt:
    return partial(run_here, capsys)


class Fleet:
    """Towns on one place, written to past the commands, so that nobody projects but a worker."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._nodes = nodes_of(url)
        self.names: list[str] = []

    def add(self, *names: str) -> None:
        """Towns in the list, with an event each."""
        for name in names:
            list_town(self.url, Keys(name, hash_tag=True))
            self.names.append(name)
            self.write(name)

    def write(self, name: str) -> None:
        with self._client(name) as client:
            store = EventStore(client, Keys(name, hash_tag=True))
            append(store, [TaskCreated(description=name)], task=f"{TASK[:-4]}{store.end().seq:04}")

    def is_projected(self) -> bool:
        """Whether all events of all towns are in snapshots and views."""
        return all(self._is_projected(name) for name in self.names)

    def assert_sound(self) -> None:
        for name in self.names:
            with self._client(name) as client:
                keys = Keys(name, hash_tag=True)
                assert Upkeep(client, keys, store=EventStore(client, keys)).verify().findings == ()

    def _is_projected(self, name: str) -> bool:
        keys = Keys(name, hash_tag=True)
        try:
            with self._client(name) as client:
                position: Any = client.hget(keys.checkpoint("task"), "position")
                return bool(position) and position.decode() == EventStore(client, keys).end()
        except redis.RedisError:
            return False

    @contextmanager
    def _client(self, name: str) -> Iterator[redis.Redis]:
        self._nodes.look()
        client = self._nodes.client(self._nodes.owner(Keys(name, hash_tag=True).ledger))
        yield client
        client.close()


@pytest.fixture
def fleet(cluster: Cluster) -> Fleet:
    return Fleet(cluster.url)


@contextmanager
def worker_of(url: str, reports: list[WorkerReport] | None = None) -> Iterator[FleetWorker]:
    """A worker in a thread of this process."""
    stop = threading.Event()
    told: list[WorkerReport] = [] if reports is None else reports
    worker = FleetWorker(url, stop=stop, report=told.append)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(timeout=STOP_SECONDS_MAX)
        assert not thread.is_alive(), "it did not end in time"


# --- the list --------------------------------------------------------------------------------------------------------


def test_towns_of_a_cluster_are_listed(cluster: Cluster, tmp_path: Path, tt: Tt) -> None:
    """Each from when it is made, with its events, whichever node has it; without any look at all keys."""
    for name in ("alpha", "beta", "gamma"):
        with Town.init(tmp_path / name, name=name, url=cluster.url, is_registered=False) as town:
            town.create("One")
    before = _calls(cluster, "scan")
    listed = tt("towns", "--server", cluster.url)
    assert [line.split() for line in listed.out.splitlines()] == [
        ["TOWN", "EVENTS"],
        *([name, "1"] for name in ("alpha", "beta", "gamma")),
    ]
    assert tt("towns", "--server", cluster.url, "--json").json == {
        "towns": [{"town": name, "events": 1, "problem": None} for name in ("alpha", "beta", "gamma")]
    }
    assert _calls(cluster, "scan") == before


def test_list_that_is_lost_is_written_again(cluster: Cluster, tmp_path: Path, tt: Tt) -> None:
    """`tt doctor`, `tt init` and a worker of the town write it."""
    folder = tmp_path / "alpha"
    Town.init(folder, name="alpha", url=cluster.url, is_registered=False).close()
    for command in (
        ("doctor", "--town", str(folder)),
        ("init", "--town", str(folder)),
        ("projector", "--once", "--town", str(folder)),
    ):
        nodes = nodes_of(cluster.url)
        nodes.look()
        with nodes.client(nodes.owner(TOWNS_KEY)) as client:
            assert client.delete(TOWNS_KEY) == 1
        assert list_towns(cluster.url) == []
        assert tt(*command).code == 0
        assert [each.name for each in list_towns(cluster.url)] == ["alpha"]


def test_moved_town_is_listed_where_it_is(cluster: Cluster, tmp_path: Path) -> None:
    """It leaves the list of the place that it left."""
    folder = tmp_path / "alpha"
    Town.init(folder, name="alpha", url=cluster.url, is_registered=False).close()
    node = Node(tmp_path / "server")
    try:
        move_town(folder, f"redis://{node.address}")
        assert [each.name for each in list_towns(f"redis://{node.address}")] == ["alpha"]
        assert list_towns(cluster.url) == []
    finally:
        node.kill()


def test_user_without_the_right_to_the_list_has_a_town_all_the_same(tmp_path: Path) -> None:
    """The list is a help."""
    node = Node(tmp_path / "server")
    try:
        node.ask("ACL", "SETUSER", "ada", "on", ">secret", "~tt:alpha:*", "+@all")
        with Town.init(
            tmp_path / "alpha", name="alpha", url=f"redis://ada:secret@{node.address}", is_registered=False
        ) as town:
            town.create("One")
        assert list_towns(f"redis://{node.address}") == []
    finally:
        node.kill()


def test_list_by_others_is_no_trap(tmp_path: Path) -> None:
    """What is no town's name is left out, and a key of another type is named."""
    node = Node(tmp_path / "server")
    try:
        with node.client() as client:
            client.hset(TOWNS_KEY, mapping={"good": "", "a b": "", "\xff": "", "{odd": "", "{task}": ""})
            client.set(Keys("good").ledger, "a text")
        [good] = list_towns(f"redis://{node.address}")
        assert good.name == "good"
        assert good.problem is not None
        assert good.problem.startswith("WRONGTYPE")
    finally:
        node.kill()


def _calls(cluster: Cluster, command: str) -> int:
    found = [node.ask("INFO", "commandstats").get(f"cmdstat_{command}", {}) for node in cluster.nodes]
    return sum(each.get("calls", 0) for each in found)


def test_two_forms_of_a_name_are_two_towns(tmp_path: Path) -> None:
    """With and without a hash tag, their keys differ, and so do their entries in the list."""
    node = Node(tmp_path / "server")
    url = f"redis://{node.address}"
    try:
        for hash_tag in (False, True):
            list_town(url, Keys("alpha", hash_tag))
            with node.client() as client:
                append(EventStore(client, Keys("alpha", hash_tag)), [TaskCreated(description="One")])
        assert [(each.name, each.events) for each in list_towns(url)] == [("alpha", 1), ("alpha", 1)]
        with worker_of(url), node.client() as client:
            wait_until(lambda: all(client.exists(Keys("alpha", tag).checkpoint("task")) for tag in (False, True)))
    finally:
        node.kill()


# --- the worker ------------------------------------------------------------------------------------------------------


def test_worker_projects_the_towns_of_all_nodes(fleet: Fleet) -> None:
    """Those that are there, those that come, and what is written later."""
    fleet.add(*(f"town-{number}" for number in range(TOWNS)))
    with worker_of(fleet.url):
        wait_until(fleet.is_projected)
        for name in fleet.names:
            fleet.write(name)
        wait_until(fleet.is_projected)
        fleet.add("late")
        wait_until(fleet.is_projected)
    fleet.assert_sound()


def test_worker_follows_a_slot(fleet: Fleet, cluster: Cluster) -> None:
    """A town that is given to another node is projected there."""
    fleet.add(*(f"town-{number}" for number in range(6)))
    with worker_of(fleet.url):
        wait_until(fleet.is_projected)
        for name in fleet.names:
            there = cluster.primary_of(name)
            cluster.move(name, next(node for node in cluster.primaries() if node is not there))
            fleet.write(name)
        wait_until(fleet.is_projected)
    fleet.assert_sound()


def test_worker_follows_a_failover(fleet: Fleet, cluster: Cluster) -> None:
    """After a primary died, its replica's towns are projected."""
    fleet.add(*(f"town-{number}" for number in range(12)))
    reports: list[WorkerReport] = []
    with worker_of(fleet.url, reports):
        wait_until(fleet.is_projected)
        dead = cluster.primary_of("town-0")
        dead.kill()
        wait_until(lambda: dead not in cluster.primaries() and cluster.is_whole())
        for name in fleet.names:
            fleet.write(name)
        wait_until(fleet.is_projected)
    fleet.assert_sound()


def test_server_that_hangs_is_waited_for_once(fleet: Fleet, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each of its towns: the worker looks who has them now, and by then another server does."""
    # The test asks the first ones.
    hanging = max(cluster.primaries(), key=cluster.nodes.index)
    fleet.add(*islice((name for n in count() if cluster.primary_of(name := f"slow-{n}") is hanging), 8))
    wait_until(lambda: caught_up(hanging))
    project = FleetWorker._project
    waits: list[float] = []

    def hang_first(worker: FleetWorker, member: Any) -> None:
        if not waits:
            hanging.pause()
        began = time.monotonic()
        project(worker, member)
        waits.append(time.monotonic() - began)

    monkeypatch.setattr(FleetWorker, "_project", hang_first)
    try:
        with worker_of(fleet.url):
            wait_until(fleet.is_projected, seconds_max=60)
    finally:
        hanging.go_on()
    assert len([each for each in waits if each > LOOK_SECONDS]) == 1
    fleet.assert_sound()


def test_damaged_town_keeps_no_other_from_being_projected(fleet: Fleet) -> None:
    """It is reported once, and what it is tells the exit code at the end."""
    fleet.add("bad", "good")
    with fleet._client("bad") as client:
        client.xadd(Keys("bad", hash_tag=True).ledger, {"event": "{}"})
    fleet.names.remove("bad")
    reports: list[WorkerReport] = []
    with worker_of(fleet.url, reports) as worker:
        wait_until(lambda: worker.damage is not None)
        fleet.write("good")
        wait_until(fleet.is_projected)
    assert [report.town for report in reports if report.problem is not None] == ["bad"]


def test_two_workers_share_and_the_death_of_one_is_made_good(fleet: Fleet, tmp_path: Path) -> None:
    """As processes: one is killed with SIGKILL in the middle, and the other has everything projected."""
    fleet.add(*(f"town-{number}" for number in range(TOWNS)))
    with a_process(fleet, tmp_path, "one") as one, a_process(fleet, tmp_path, "two"):
        wait_until(fleet.is_projected)
        for name in fleet.names:
            fleet.write(name)
        one.process.kill()
        wait_until(fleet.is_projected)
    fleet.assert_sound()


def test_stop_signal_ends_the_worker_at_once(fleet: Fleet, tmp_path: Path, cluster: Cluster) -> None:
    """While it rests, and while a node hangs."""
    fleet.add("alpha")
    with a_process(fleet, tmp_path, "resting") as worker:
        wait_until(fleet.is_projected)
        assert _end(worker) == 0
    with a_process(fleet, tmp_path, "waiting") as worker:
        fleet.write("alpha")
        wait_until(fleet.is_projected)
        node = cluster.primary_of("alpha")
        node.pause()
        try:
            assert _end(worker) in (0, 4)
        finally:
            node.go_on()


def test_once_projects_what_there_is(fleet: Fleet, tt: Tt) -> None:
    """`tt projector --server URL --once` ends when all is projected."""
    fleet.add("alpha", "beta")
    assert tt("projector", "--server", fleet.url, "--once").code == 0
    assert fleet.is_projected()


def test_whole_cluster_is_named_by_a_folder_of_one_of_its_towns(
    fleet: Fleet, tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tt projector --all --cluster` in a town's folder is `--server` with its URL; a town with its own server has no others."""
    fleet.add("alpha", "beta")
    monkeypatch.chdir(tmp_path)
    assert tt("init", "--name", "gamma", "--url", fleet.url).code == 0
    assert tt("projector", "--all", "--cluster", "--once").code == 0
    assert fleet.is_projected()
    alone = tt("projector", "--cluster", "--once")
    assert (alone.code, "--cluster goes with --all" in alone.err) == (2, True)
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    assert tt("init", "--name", "own").code == 0
    own = tt("projector", "--all", "--cluster", "--once")
    assert own.code == 2
    assert "own has its own" in own.err
    end_server(tmp_path / "own")


def test_idle_towns_cost_one_exchange_per_node(fleet: Fleet, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at towns where nothing happened sends XLEN for each, and no other command but the list's count."""
    monkeypatch.setattr(fleet_worker, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(fleet_worker, "ACTIVE_SECONDS", 0.0)
    fleet.add(*(f"town-{number}" for number in range(TOWNS)))
    with worker_of(fleet.url):
        wait_until(fleet.is_projected)
        seen = _calls(cluster, "xlen")
        wait_until(lambda: _calls(cluster, "xlen") > seen + 2 * TOWNS)
        evals, seen = _calls(cluster, "evalsha"), _calls(cluster, "xlen")
        wait_until(lambda: _calls(cluster, "xlen") > seen + 5 * TOWNS)
        assert _calls(cluster, "evalsha") == evals


@contextmanager
def a_process(fleet: Fleet, tmp_path: Path, name: str) -> Iterator[ProjectorProcess]:
    with running_projector("--server", fleet.url, folder=tmp_path, logs=tmp_path, name=name) as projector:
        yield projector


def _end(worker: ProjectorProcess) -> int:
    worker.process.terminate()
    return worker.process.wait(timeout=STOP_SECONDS_MAX)
