"""`[redis] acks = "replicas:N"`: a command is done when that many replicas have its event, and says so if they do not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ledger import NotReplicatedError, Position, acks
from tests.support.clusters import Node
from tests.support.losses import fall_back, look_back
from tests.support.tt import Tt, run_here
from tests.support.waiting import wait_until
from town import Town

WAIT_MS = 300
"""For a wait that is in vain."""


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """A primary and its replica, both with an append-only file."""
    folder = tmp_path_factory.mktemp("servers")
    nodes = [Node(folder / "primary")]
    try:
        nodes.append(Node(folder / "replica", "--replicaof", f"127.0.0.1 {nodes[0].port}"))
        primary, replica = nodes
        wait_until(lambda: replica.ask("INFO", "replication")["master_link_status"] == "up")
        wait_until(lambda: primary.ask("WAIT", 1, 1_000) == 1)
        yield primary, replica
    finally:
        for node in nodes:
            node.kill()


@pytest.fixture
def tt(
    tmp_path: Path, servers: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tt:
    """`tt` in the folder of a town that waits for a replica."""
    monkeypatch.chdir(tmp_path)
    assert run_here(capsys, "init", "--name", "demo", "--url", f"redis://{servers[0].address}").code == 0
    with (tmp_path / "tinytown.toml").open("a", encoding="utf-8") as file:
        file.write('acks = "replicas:1"\n')
    return partial(run_here, capsys)


@pytest.fixture
def in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait ends soon."""
    monkeypatch.setattr(acks, "ACKS_MS_MAX", WAIT_MS)


def waits(primary: Node) -> int:
    """How often the server was asked to wait."""
    return int(primary.ask("INFO", "commandstats").get("cmdstat_waitaof", {"calls": 0})["calls"])


def test_command_is_done_when_the_replica_has_its_event(tt: Tt, servers: tuple[Node, Node]) -> None:
    """With a replica that copies, commands end with code 0; each is waited for once, a refused one never."""
    primary, replica = servers
    before = waits(primary)
    assert tt("assign", "ada", "Fix", "--alias", "fix").code == 0
    assert waits(primary) == before + 1
    assert replica.client().xlen("tt:demo:ledger") == 2
    assert "the loss of its machine: yes, 1 replica has it" in tt("status").out
    assert "1 copies from the server; a command waits for 1" in tt("doctor").out
    assert tt("task", "reopen", "fix").code == 1
    assert tt("tasks").code == 0
    assert waits(primary) == before + 1


@pytest.mark.usefixtures("in_vain")
def test_event_that_no_replica_has_in_time_is_not_called_done(tt: Tt, servers: tuple[Node, Node]) -> None:
    """Code 6 and the position; it is written once and shown. The same command later waits for it again, and is done then."""
    primary, replica = servers
    assert tt("task", "create", "Fix", "--alias", "fix").code in (0, 6)
    replica.pause()
    try:
        ran = tt("task", "complete", "fix", "--agent", "ada")
        assert (ran.code, ran.out) == (6, "")
        assert "written here, up to event 4, and not yet on 1 replica" in ran.err
        assert tt("task", "show", "fix", "--json=state").json["task"] == {"state": "completed"}
        again = tt("task", "complete", "fix", "--agent", "ada")
        assert (again.code, "It was so already, and not yet on 1 replica" in again.err) == (6, True), again
        assert primary.client().xlen("tt:demo:ledger") == 4
    finally:
        replica.go_on()
    wait_until(lambda: tt("task", "complete", "fix", "--agent", "ada").code == 0)
    assert replica.client().xlen("tt:demo:ledger") == 4


def test_replicas_that_are_not_there_are_not_said_to_have_it(tt: Tt, servers: tuple[Node, Node]) -> None:
    """`tt status` and `tt doctor` count those that copy; a setting alone keeps nothing."""
    primary, replica = servers
    replica.kill()
    wait_until(lambda: primary.ask("INFO", "replication")["connected_slaves"] == 0)
    said = "the loss of its machine: not for sure: a command waits for 1 replica, and 0 copy from the server"
    assert said in tt("status").out
    assert "0 copy from the server, and a command waits for 1" in tt("doctor").out


def test_library_gets_what_was_written(
    tt: Tt, servers: tuple[Node, Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the receipt, and how many replicas have it; what is appended together is waited for once."""
    assert callable(tt)
    primary, replica = servers
    with Town.open(tmp_path, actor="a") as town:
        before = waits(primary)
        with town.backend.acks.together():
            for number in range(20):
                town.create(f"task {number}")
        assert waits(primary) == before + 1
        monkeypatch.setattr(acks, "ACKS_MS_MAX", WAIT_MS)
        replica.kill()
        wait_until(lambda: primary.ask("INFO", "replication")["connected_slaves"] == 0)
        with pytest.raises(NotReplicatedError) as missed:
            town.create("alone")
        assert (missed.value.wanted, missed.value.got) == (1, 0)
        assert missed.value.result.task.description == "alone"  # type: ignore[attr-defined]
        assert missed.value.position == town.end()


@pytest.mark.usefixtures("in_vain")
def test_runner_goes_on_and_says_what_no_replica_has(tt: Tt, servers: tuple[Node, Node]) -> None:
    """`tt work` finishes its task, and warns."""
    tt("assign", "ada", "Fix", "--alias", "fix")
    servers[1].pause()
    try:
        ran = tt(*shlex.split("work ada --once -- true"))
        assert "not yet on 1 replica" in ran.err
    finally:
        servers[1].go_on()
    assert tt("task", "show", "fix", "--json=state").json["task"] == {"state": "completed"}


@pytest.mark.usefixtures("in_vain")
def test_server_without_an_append_only_file_counts_memory(tt: Tt, servers: tuple[Node, Node]) -> None:
    """WAITAOF is refused there, and WAIT asks for the replicas' memory."""
    servers[0].ask("CONFIG", "SET", "appendonly", "no")
    wait_until(lambda: tt("task", "create", "Fix", "--alias", "fix").code == 0)
    servers[1].pause()
    try:
        assert tt("task", "create", "Paint").code == 6
    finally:
        servers[1].go_on()


def test_event_that_a_failover_lost_is_not_confirmed(tt: Tt, servers: tuple[Node, Node], tmp_path: Path) -> None:
    """If another server answers by then, which lacks the event, that it waits for its own replicas says nothing."""
    assert callable(tt)
    with Town.open(tmp_path, actor="a") as town:
        last = town.create("Fix").positions[-1]
        servers[0].client().delete(town.backend.keys.ledger)
        with pytest.raises(NotReplicatedError, match="It was written, up to event 1, and is lost"):
            town.backend.acks.confirm(last)


def test_event_that_its_command_said_is_lost_is_not_missed_later(
    tt: Tt, servers: tuple[Node, Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was never acknowledged, and whoever wrote it was told to do it again: nothing has to be recovered first."""
    assert callable(tt)
    confirm = acks.Acks.confirm
    with Town.open(tmp_path, actor="a") as town:
        town.create("before")
        kept = look_back(servers[0].client())

        def lose(self: acks.Acks, position: Position | None) -> None:
            fall_back(servers[0].client(), kept)
            confirm(self, position)

        with monkeypatch.context() as patch:
            patch.setattr(acks.Acks, "confirm", lose)
            with pytest.raises(NotReplicatedError, match="and is lost"):
                town.create("lost")
        town.create("again")
    with Town.open(tmp_path, actor="a") as town:
        town.create("and on")
        assert [task.description for task in town.page().tasks] == ["before", "again", "and on"]
        assert town.recovery.look().events == ()


@pytest.mark.parametrize("value", ["replicas", "replicas:0", "replicas:10", "replicas:x", "all"])
def test_setting_that_is_no_number_of_replicas_is_refused(tt: Tt, tmp_path: Path, value: str) -> None:
    """The error names the setting and what it may be."""
    path = tmp_path / "tinytown.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("replicas:1", value), encoding="utf-8")
    ran = tt("tasks")
    assert (ran.code, "Write local, or replicas:N with N from 1 to 9" in ran.err) == (1, True), ran
