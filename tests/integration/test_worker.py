"""The worker: it follows towns, stands by, ends when told to, and is never needed for a command to be right."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import redis

from ledger import BEGINNING, EventStore, Keys, Position, TaskCreated
from projections import LEASE_MS, VIEWS, LiveBoard, replay
from projections import upkeep as upkeep_module
from projections.checkpoint import REBUILD_FENCED, REBUILD_ONLINE, Checkpoints
from tests.benchmarks.measure import fill
from tests.support.builders import append
from tests.support.expected_keys import assert_projected, dump_keys
from tests.support.histories import Filler
from tests.support.projectors import ProjectorProcess, lease_holder, running_projector, wait_for_lease
from tests.support.towns import client_of, server_pid
from tests.support.tt import run_process
from tests.support.waiting import wait_until
from town import EmbeddedServer, Town, Worker, WorkerReport, opening
from town.backend import Backend
from town.opening import OpenTown
from town.worker import STANDBY_SECONDS

STOP_SECONDS_MAX = 1.0
TAKE_OVER_SECONDS_MAX = LEASE_MS / 1_000 + STANDBY_SECONDS + 1.0
COMMAND_SECONDS_MAX = 2.0
"""A command may give a worker a tenth of a second at each of its steps; ten times that is a command that hangs."""
BIG_TASKS = 10_000


class Place:
    """A town on the session's server, written to past its commands, so that nobody projects but a worker."""

    def __init__(self, client: redis.Redis, folder: Path, name: str) -> None:
        self.client = client
        self.folder = folder
        self.keys = Keys(name)
        self.store = EventStore(client, self.keys)
        self.filler = Filler(self.store, seed=len(name))

    @property
    def position(self) -> Position:
        return Checkpoints(self.client, self.keys, VIEWS).position()

    def is_caught_up(self) -> bool:
        return self.position == self.store.end() != BEGINNING

    def assert_projected(self) -> None:
        assert_projected(self.client, self.keys, replay(self.store, upto=self.position))


@pytest.fixture
def place(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Place:
    """The town `one`."""
    return a_place(client, server_socket, tmp_path, "one")


def a_place(client: redis.Redis, server_socket: Path, tmp_path: Path, name: str) -> Place:
    folder = tmp_path / name
    Town.init(folder, name=name, url=f"unix://{server_socket}").close()
    return Place(client, folder, name)


@contextmanager
def following(place: Place, tmp_path: Path, *arguments: str, name: str = "projector") -> Iterator[ProjectorProcess]:
    """A worker of the town that has begun to work."""
    with running_projector(*arguments, folder=place.folder, logs=tmp_path, name=name) as projector:
        wait_for_lease(place.client, place.keys)
        yield projector


# --- following ---------------------------------------------------------------------------------------------------


def test_worker_projects_what_others_append(place: Place, tmp_path: Path) -> None:
    """No command projects here: what another process appends gets into snapshots and views by the worker alone."""
    with following(place, tmp_path):
        for _ in range(3):
            place.filler.fill(60)
            wait_until(place.is_caught_up)
            place.assert_projected()


def test_worker_goes_on_where_it_was(place: Place, tmp_path: Path) -> None:
    """Killed with kill -9 between batches and started again, it loses and doubles nothing."""
    for _ in range(3):
        with following(place, tmp_path):
            place.filler.fill(60)
            wait_until(place.is_caught_up)
        place.filler.fill(60)
        place.client.delete(place.keys.lease("projector"))
    with following(place, tmp_path):
        wait_until(place.is_caught_up)
    place.assert_projected()


def test_once_ends_when_everything_is_in(place: Place) -> None:
    """`--once` projects what there is, says how much, gives up the lease, and ends with 0."""
    place.filler.fill(300)
    ran = run_process("projector", "--once", "--json", folder=place.folder)
    assert (ran.code, ran.err) == (0, "")
    report = ran.json
    end = place.store.end()
    assert (report["town"], report["position"], report["lag_events"], report["events"]) == ("one", end, 0, end.seq)
    assert report["events_per_second"] > 0
    assert lease_holder(place.client, place.keys) is None
    place.assert_projected()


def test_once_in_a_town_without_news_writes_nothing(place: Place) -> None:
    """Everything is in already: it ends with 0 and no key has changed."""
    place.filler.fill(40)
    assert run_process("projector", "--once", folder=place.folder).code == 0
    before = dump_keys(place.client, place.keys)
    assert run_process("projector", "--once", folder=place.folder).code == 0
    assert dump_keys(place.client, place.keys) == before


def test_all_follows_every_registered_town(
    client: redis.Redis, server_socket: Path, tmp_path: Path, place: Place
) -> None:
    """`--all` takes the towns that `tt towns` lists; one whose folder is gone does not keep it from the others."""
    other, gone = (a_place(client, server_socket, tmp_path, name) for name in ("two", "three"))
    rmtree(gone.folder)
    with running_projector("--all", folder=tmp_path, logs=tmp_path) as projector:
        for each in (place, other):
            each.filler.fill(60)
        wait_until(lambda: place.is_caught_up() and other.is_caught_up())
        assert projector.process.poll() is None
    for each in (place, other):
        each.assert_projected()


def test_several_towns_are_followed_by_one_worker(
    client: redis.Redis, server_socket: Path, tmp_path: Path, place: Place
) -> None:
    """`--town` may be given several times; a town that is given twice is followed once, and others are left alone."""
    two, three = (a_place(client, server_socket, tmp_path, name) for name in ("two", "three"))
    towns = [argument for each in (place, two, two) for argument in ("--town", str(each.folder))]
    with running_projector(*towns, folder=tmp_path, logs=tmp_path) as projector:
        for each in (place, two, three):
            each.filler.fill(60)
        wait_until(lambda: place.is_caught_up() and two.is_caught_up())
        wait_until(
            lambda: (
                {line.split("  ")[1] for line in projector.out.splitlines(keepends=True) if line.endswith("\n")}
                == {"one", "two"}
            )
        )
        assert three.position == BEGINNING
        assert projector.end() < STOP_SECONDS_MAX
        assert projector.wait() == 0


def test_town_and_all_together_are_refused(tmp_path: Path) -> None:
    """They contradict each other: exit 2, and nothing is followed."""
    ran = run_process("projector", "--all", "--town", str(tmp_path), folder=tmp_path)
    assert (ran.code, "--all" in ran.err) == (2, True)


# --- ending ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_a_waiting_worker(place: Place, tmp_path: Path, number: signal.Signals) -> None:
    """Within a second, with exit 0 and nothing on stderr, and the lease is free at once."""
    with following(place, tmp_path) as projector:
        place.filler.fill(40)
        wait_until(place.is_caught_up)
        assert projector.end(number) < STOP_SECONDS_MAX
        assert (projector.wait(), projector.err) == (0, "")
    assert lease_holder(place.client, place.keys) is None
    place.assert_projected()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_a_busy_worker_after_its_batch(place: Place, tmp_path: Path, number: signal.Signals) -> None:
    """With much still to project it ends within a second, and what it leaves is right for its checkpoint.

    The bug looked like this: at its start it caught up to the end of the ledger, deaf to signals.
    """
    fill(place.store, tasks=BIG_TASKS)
    with running_projector(folder=place.folder, logs=tmp_path) as projector:
        wait_until(lambda: place.position > BEGINNING)
        seconds = projector.end(number)
        assert (projector.wait(), projector.err) == (0, "")
    assert not place.is_caught_up()
    assert seconds < STOP_SECONDS_MAX
    assert lease_holder(place.client, place.keys) is None
    place.assert_projected()


def test_stop_signal_ends_a_worker_that_stands_by(place: Place, tmp_path: Path) -> None:
    """The lease is another's: it ends within a second all the same, and leaves the lease alone."""
    with (
        following(place, tmp_path),
        running_projector("--metrics", "0", folder=place.folder, logs=tmp_path, name="standby") as standby,
    ):
        holder = wait_for_lease(place.client, place.keys)
        standby.metrics_url()
        assert standby.end() < STOP_SECONDS_MAX
        assert standby.wait() == 0
        assert lease_holder(place.client, place.keys) == holder


def test_stop_signal_ends_a_worker_that_finishes_a_rebuild(place: Place, tmp_path: Path) -> None:
    """A large rebuild that somebody left is gone on with batch by batch: the worker ends within a second, and another finishes it.

    The bug looked like this: it went on to the end of the rebuild, deaf to signals.
    """
    fill(place.store, tasks=BIG_TASKS)
    checkpoints = Checkpoints(place.client, place.keys, VIEWS)
    assert checkpoints.fence(checkpoints.read(), place.store.end())
    with running_projector(folder=place.folder, logs=tmp_path) as projector:
        wait_until(lambda: place.client.exists(place.keys.lease("rebuild")))
        seconds = projector.end()
        assert (projector.wait(), projector.err) == (0, "")
    assert seconds < STOP_SECONDS_MAX
    stored = checkpoints.read()[0]
    assert stored is not None
    assert stored.rebuild == REBUILD_FENCED
    with Town.open(place.folder) as town:
        town.page(limit=1)
        assert town.upkeep.verify().findings == ()


def test_stop_signal_ends_a_worker_whose_server_hangs(tmp_path: Path) -> None:
    """The server is there and says nothing: the worker leaves it within a second, and says so."""
    folder = tmp_path / "hung"
    with Town.init(folder, name="hung", is_registered=False) as town:
        pid = server_pid(folder)
        assert town.end() == BEGINNING
    server = EmbeddedServer(folder)
    try:
        with running_projector("--town", str(folder), "--metrics", "0", folder=tmp_path, logs=tmp_path) as projector:
            with Town.open(folder, actor="ada") as town:
                wait_for_lease(town.connection.client, town.keys)
            os.kill(pid, signal.SIGSTOP)
            seconds = projector.end()
            assert projector.wait() == 4
            assert "does not answer" in projector.err
        assert seconds < STOP_SECONDS_MAX
    finally:
        os.kill(pid, signal.SIGCONT)
        server.stop()


def test_town_that_cannot_be_followed_is_told_at_once(place: Place, tmp_path: Path) -> None:
    """Its settings are broken: the worker says so while it follows the other town, and ends with that exit code.

    The bug looked like this: nothing was said until the worker was stopped.
    """
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "tinytown.toml").write_text("not TOML", encoding="utf-8")
    towns = ("--town", str(place.folder), "--town", str(broken))
    with running_projector(*towns, folder=tmp_path, logs=tmp_path) as projector:
        wait_until(lambda: "tinytown.toml" in projector.err)
        place.filler.fill(40)
        wait_until(place.is_caught_up)
        projector.end()
        assert projector.wait() == 1
    place.assert_projected()


# --- two of them -------------------------------------------------------------------------------------------------


def test_second_worker_stands_by_and_takes_over(place: Place, tmp_path: Path) -> None:
    """While the first has the lease the second projects nothing; once it is killed with kill -9 the second goes on."""
    with (
        following(place, tmp_path, name="first") as first,
        running_projector("--metrics", "0", folder=place.folder, logs=tmp_path, name="second") as second,
    ):
        second.metrics_url()
        holder = wait_for_lease(place.client, place.keys)
        for _ in range(3):
            place.filler.fill(40)
            wait_until(place.is_caught_up)
        assert projected_by(second) == 0
        assert lease_holder(place.client, place.keys) == holder
        before = place.store.end()
        first.kill()
        place.filler.fill(40)
        wait_until(place.is_caught_up, seconds_max=TAKE_OVER_SECONDS_MAX)
        wait_until(lambda: projected_by(second) == place.store.end().seq - before.seq)
        assert wait_for_lease(place.client, place.keys) != holder
    place.assert_projected()


def test_second_worker_takes_over_at_once_when_the_first_ends_well(place: Place, tmp_path: Path) -> None:
    """A worker that is stopped gives its lease up: nobody waits for the time-out."""
    with (
        following(place, tmp_path, name="first") as first,
        running_projector("--metrics", "0", folder=place.folder, logs=tmp_path, name="second") as second,
    ):
        second.metrics_url()
        first.end()
        place.filler.fill(40)
        wait_until(place.is_caught_up, seconds_max=STANDBY_SECONDS + 1.0)
    place.assert_projected()


def projected_by(projector: ProjectorProcess) -> float:
    """How many events it says it projected."""
    return projector.metrics().get('tt_events_projected_total{town="one"}', 0.0)


# --- a server that goes away -------------------------------------------------------------------------------------


def test_worker_waits_for_a_stopped_server_and_does_not_start_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tt stop` means stop: the worker says so once, keeps looking, and goes on when somebody starts the server."""
    Town.init(folder, name="one").close()
    opened: list[bool] = []

    def count_and_open(*arguments: Any, **options: Any) -> AbstractContextManager[OpenTown]:
        opened.append(EmbeddedServer(folder).is_running())
        return opening.opened(*arguments, **options)

    monkeypatch.setattr("town.worker.opened", count_and_open)
    with worker_thread(folder) as reports:
        wait_until(lambda: opened)
        with client_of(folder) as client:
            wait_for_lease(client, Keys("one"))
        assert EmbeddedServer(folder).stop()
        wait_until(lambda: opened.count(False) >= 3)
        assert not EmbeddedServer(folder).is_running()
        assert [report.problem is not None for report in reports] == [True]
        EmbeddedServer(folder).start()
        with client_of(folder) as client:
            store = EventStore(client, Keys("one"))
            append(store, [TaskCreated("after")])
            wait_until(lambda: Checkpoints(client, Keys("one"), VIEWS).position() == store.end())
            assert_projected(client, Keys("one"), replay(store))


def test_worker_process_survives_tt_stop(folder: Path, tmp_path: Path) -> None:
    """The same with the program: `tt stop` stops the server and not the worker, and `tt start` is enough."""
    Town.init(folder, name="one").close()
    with running_projector(folder=folder, logs=tmp_path) as projector:
        with client_of(folder) as client:
            wait_for_lease(client, Keys("one"))
        assert run_process("stop", folder=folder).code == 0
        wait_until(lambda: projector.err)
        assert run_process("start", folder=folder).code == 0
        assert (folder / ".tt" / "server.log").read_text(encoding="utf-8").count("Valkey is starting") == 2
        with client_of(folder) as client:
            store = EventStore(client, Keys("one"))
            append(store, [TaskCreated("after")])
            wait_until(lambda: Checkpoints(client, Keys("one"), VIEWS).position() == store.end())
        assert projector.end() < STOP_SECONDS_MAX
        assert projector.wait() == 0


def test_stop_signal_ends_a_worker_that_waits_for_its_server(folder: Path, tmp_path: Path) -> None:
    """Nothing to give up and nobody to ask: it ends within a second with exit 0."""
    Town.init(folder, name="one").close()
    with running_projector(folder=folder, logs=tmp_path) as projector:
        with client_of(folder) as client:
            wait_for_lease(client, Keys("one"))
        EmbeddedServer(folder).stop()
        wait_until(lambda: projector.err)
        assert projector.end() < STOP_SECONDS_MAX
        assert projector.wait() == 0


@contextmanager
def worker_thread(folder: Path) -> Iterator[list[WorkerReport]]:
    """A worker in a thread of this process; its reports."""
    stop = threading.Event()
    reports: list[WorkerReport] = []
    worker = Worker(folder, stop=stop, report=reports.append)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield reports
    finally:
        stop.set()
        thread.join()


# --- damage ------------------------------------------------------------------------------------------------------


def test_damage_ends_the_worker_with_its_position(place: Place, tmp_path: Path) -> None:
    """An entry that is no event: exit 5, the position on stderr, and what came before it is projected and stays."""
    place.filler.fill(20)
    good = place.store.end()
    with following(place, tmp_path) as projector:
        wait_until(place.is_caught_up)
        bad = Position.of(ms=good.ms, seq=good.seq + 1)
        place.client.xadd(place.keys.ledger, {"event": b"not JSON"}, id=bad)
        assert projector.wait() == 5
    assert bad in projector.err
    assert place.position == good
    assert lease_holder(place.client, place.keys) is None
    place.assert_projected()


def test_damage_in_one_town_leaves_the_others_followed(
    client: redis.Redis, server_socket: Path, tmp_path: Path, place: Place
) -> None:
    """The other town goes on being projected; when the worker is stopped it ends with 5."""
    other = a_place(client, server_socket, tmp_path, "two")
    client.xadd(place.keys.ledger, {"event": b"not JSON"}, id="1-1")
    towns = ("--town", str(place.folder), "--town", str(other.folder))
    with running_projector(*towns, folder=tmp_path, logs=tmp_path) as projector:
        wait_until(lambda: "1-1" in projector.err)
        other.filler.fill(40)
        wait_until(other.is_caught_up)
        projector.end()
        assert projector.wait() == 5
    other.assert_projected()


@pytest.mark.parametrize("mark", [REBUILD_ONLINE, REBUILD_FENCED])
def test_worker_outlives_a_rebuild_that_was_killed(place: Place, tmp_path: Path, mark: str) -> None:
    """A rebuild was begun and is at work no more: that is no damage, somebody finishes it, and the worker goes on.

    The bugs looked like this: fenced, the worker ended with exit 5; online, nobody finished it while the worker had the lease.
    """
    with following(place, tmp_path) as projector:
        place.filler.fill(40)
        wait_until(place.is_caught_up)
        checkpoints = Checkpoints(place.client, place.keys, VIEWS)
        checkpoints.mark_rebuild(mark)
        with Town.open(place.folder) as town:
            town.create("the next command finishes it")
        stored = checkpoints.read()[0]
        assert stored is not None
        place.filler.fill(40)
        wait_until(lambda: place.is_caught_up() or projector.process.poll() is not None)
        assert projector.process.poll() is None, projector.err
        wait_until(lambda: not place.client.hexists(place.keys.checkpoint("task"), "rebuild"))
    with Town.open(place.folder) as town:
        assert town.upkeep.verify().findings == ()


def test_long_rebuild_of_another_machine_is_no_damage(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is at work for longer than a command waits: the worker waits on, and finishes it when that one is gone.

    The bug looked like this: the worker ended with exit 5, and its figures told of damage.
    """
    place.filler.fill(40)
    checkpoints = Checkpoints(place.client, place.keys, VIEWS)
    assert checkpoints.fence(checkpoints.read(), place.store.end())
    place.client.set(place.keys.lease("rebuild"), "elsewhere:1:x", px=60_000)
    monkeypatch.setattr(upkeep_module, "REBUILD_WAIT_SECONDS_MAX", 0.2)
    rounds: list[None] = []
    finish_or_wait = Worker._finish_or_wait

    def counted(worker: Worker, town: Backend, *, once: bool) -> None:
        finish_or_wait(worker, town, once=once)
        rounds.append(None)

    monkeypatch.setattr(Worker, "_finish_or_wait", counted)
    with worker_thread(place.folder) as reports:
        wait_until(lambda: len(rounds) >= 2)
        place.client.delete(place.keys.lease("rebuild"))
        wait_until(lambda: not place.client.hexists(place.keys.checkpoint("task"), "rebuild"))
        wait_until(place.is_caught_up)
    assert [report.problem for report in reports if report.problem is not None] == []


# --- what it tells -----------------------------------------------------------------------------------------------

_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*(?: \S+)?  one  event ([\d,]+)  lag 0 events, 0\.0 s  [\d,]+ events/s"
)


def test_log_lines_tell_town_position_lag_and_rate(place: Place, tmp_path: Path) -> None:
    """The first line comes with the first batch, on stdout, at once and not when some buffer is full."""
    with following(place, tmp_path) as projector:
        place.filler.fill(40)
        wait_until(lambda: projector.out)
        (line,) = projector.out.splitlines()
        found = _LINE.fullmatch(line)
        assert found is not None, line
        assert 0 < int(found[1].replace(",", "")) <= place.store.end().seq
        assert projector.err == ""


def test_log_lines_as_json(place: Place, tmp_path: Path) -> None:
    """With --json each report is one object with the same facts."""
    with following(place, tmp_path, "--json") as projector:
        place.filler.fill(40)
        wait_until(lambda: projector.out.endswith("\n"))
        report = json.loads(projector.out.splitlines()[0])
    assert {"town", "position", "lag_events", "lag_seconds", "events", "events_per_second"} <= report.keys()
    assert report["town"] == "one"
    assert Position.parse(report["position"]).seq > 0


def test_metrics_tell_of_damage(client: redis.Redis, server_socket: Path, tmp_path: Path, place: Place) -> None:
    """A town whose worker has stopped is told apart from one that is caught up, and what it lags behind is measured."""
    other = a_place(client, server_socket, tmp_path, "two")
    for number in (1, 2, 3):
        client.xadd(place.keys.ledger, {"event": b"not JSON"}, id=f"{number}-{number}")
    towns = ("--town", str(place.folder), "--town", str(other.folder), "--metrics", "0")
    with running_projector(*towns, folder=tmp_path, logs=tmp_path) as projector:
        wait_until(lambda: "1-1" in projector.err)
        other.filler.fill(40)
        wait_until(other.is_caught_up)
        figures = projector.metrics()
        projector.end()
    assert (figures['tt_stopped{town="one"}'], figures['tt_stopped{town="two"}']) == (1.0, 0.0)
    assert figures['tt_lag_events{town="one"}'] == 3.0


def test_metrics_are_served_on_loopback(place: Place, tmp_path: Path) -> None:
    """`--metrics 0` picks a port, says so, and serves what Prometheus asks for; nothing listens beyond loopback."""
    with following(place, tmp_path, "--metrics", "0") as projector:
        place.filler.fill(120)
        wait_until(lambda: projected_by(projector) == place.store.end().seq)
        wait_until(lambda: 'tt_lag_events{town="one"}' in projector.metrics())
        figures = projector.metrics()
        port = int(projector.metrics_url().split(":")[2].partition("/")[0])
        assert listening_addresses(port) == {"0100007F"}
    town = '{town="one"}'
    assert figures[f"tt_lag_events{town}"] == 0
    assert figures[f"tt_lag_seconds{town}"] == 0
    assert figures[f"tt_commits_total{town}"] == figures[f"tt_batch_seconds_count{town}"] >= 1
    assert figures[f"tt_batch_seconds_sum{town}"] > 0
    assert figures.get(f"tt_commits_lost_total{town}", 0) == 0


def test_metrics_count_lost_commits(place: Place, tmp_path: Path) -> None:
    """A batch that another projector committed first is counted as lost, and its events are not counted twice."""
    with following(place, tmp_path, "--metrics", "0") as projector, Town.open(place.folder) as town:
        deadline = time.monotonic() + 20
        while not projector.metrics().get('tt_commits_lost_total{town="one"}', 0) and time.monotonic() < deadline:
            place.filler.fill(40)
            town.upkeep.projector.project_batch()
        wait_until(place.is_caught_up)
        assert projected_by(projector) <= place.store.end().seq
        assert projector.metrics()['tt_commits_lost_total{town="one"}'] >= 1
    place.assert_projected()


def test_metrics_port_that_is_taken_is_refused(place: Place, tmp_path: Path) -> None:
    """It says so and ends, rather than run unseen; nothing shows a traceback."""
    with following(place, tmp_path, "--metrics", "0") as projector:
        port = projector.metrics_url().split(":")[2].partition("/")[0]
        ran = run_process("projector", "--once", "--metrics", port, folder=place.folder)
    assert ran.code in (1, 2)
    assert port in ran.err
    assert "Traceback" not in ran.err


def listening_addresses(port: int) -> set[str]:
    """The local addresses, as /proc writes them, on which something listens at `port`."""
    lines = [
        line.split()
        for family in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{family}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return {
        address
        for address, _, local_port in (fields[1].partition(":") for fields in lines if fields[3] == "0A")
        if int(local_port, 16) == port
    }


# --- commands stay fresh -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", ["none", "running", "stopped"])
def test_command_reads_its_own_writes(place: Place, tmp_path: Path, worker: str) -> None:
    """P6, whether nobody projects, a worker does, or one holds the lease and does not move (SIGSTOP)."""
    live = LiveBoard(place.client, place.keys)
    with running_worker(place, tmp_path, worker), Town.open(place.folder) as town:
        for number in range(10):
            started = time.monotonic()
            task = town.create(f"task {number}", tags=("fresh",)).task
            assert live.get(task.id) is not None
            assert live.count_states()[task.state] == 1
            done = town.complete(task.id, agent="worker-1", result="done").task
            shown = live.get(task.id)
            assert shown is not None
            assert (shown.version, shown.state) == (done.version, done.state)
            assert live.count_agents()["worker-1"][done.state] == number + 1
            assert time.monotonic() - started < COMMAND_SECONDS_MAX
    wait_until(place.is_caught_up)
    place.assert_projected()


def test_worker_that_was_stopped_goes_on_when_it_continues(place: Place, tmp_path: Path) -> None:
    """Others projected while it stood still: it finds that out, and folds nothing twice."""
    with following(place, tmp_path) as projector, Town.open(place.folder) as town:
        projector.send(signal.SIGSTOP)
        for number in range(5):
            town.create(f"meanwhile {number}")
        projector.send(signal.SIGCONT)
        place.filler.fill(60)
        wait_until(place.is_caught_up)
        assert projector.process.poll() is None, projector.err
    place.assert_projected()


def test_command_of_another_process_is_fresh_beside_a_worker(place: Place, tmp_path: Path) -> None:
    """The same through the program: after `tt assign` returns, the JSON key and `tt task list` show it."""
    with following(place, tmp_path):
        assert run_process("assign", "ada", "Fresh work", folder=place.folder).code == 0
        (task,) = LiveBoard(place.client, place.keys).page().tasks
        assert (task.description, task.assigned_to) == ("Fresh work", "ada")
        listed = run_process("task", "list", "--json", folder=place.folder).json["tasks"]
        assert [each["id"] for each in listed] == [task.id]


@contextmanager
def running_worker(place: Place, tmp_path: Path, worker: str) -> Iterator[None]:
    """No worker, one that works, or one that stands still with the lease, which is held for it all the time."""
    if worker == "none":
        yield
        return
    with following(place, tmp_path) as projector:
        if worker == "stopped":
            projector.send(signal.SIGSTOP)
            place.client.persist(place.keys.lease("projector"))
        yield
