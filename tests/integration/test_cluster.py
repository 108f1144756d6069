"""Towns on a real cluster: every command, slots that move, primaries that end or hang, and a cluster that is down."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import redis

from ledger import Keys, NotReplicatedError, StoreUnavailableError, TaskCreated, acks
from tests.support.clusters import Cluster, Node, running_cluster
from tests.support.day import live_a_day
from tests.support.tt import Tt, run_here
from tests.support.waiting import wait_until
from town import Town
from town.server import routed_client

MOVES: Final = 8
WAYS_TO_MOVE: Final[dict[str, Callable[[Cluster, str, Node], None]]] = {
    "by-key": Cluster.move,
    "at-once": Cluster.move_at_once,
}
"""As older programs move a slot, and as servers since Valkey 9 do it by themselves (CLUSTER MIGRATESLOTS)."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def whole(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, for a test that ends nodes: they run again afterwards."""
    yield cluster
    for node in cluster.nodes:
        node.kill()
        node.start()
    wait_until(cluster.is_whole)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tt(folder: Path, capsys: pytest.CaptureFixture[str]) -> Tt:
    """`tt` in the current folder."""
    assert folder.is_dir()
    return partial(run_here, capsys)


def made(cluster: Cluster, folder: Path, name: str) -> Town:
    """A new town of the cluster."""
    return Town.init(folder / name, name=name, url=cluster.url, actor="tester", is_registered=False)


def created(town: Town) -> Counter[str]:
    """How often each description was created, by the ledger."""
    events = [recorded.data for batch in town.backend.store.read_batches() for recorded in batch]
    return Counter(event.description for event in events if isinstance(event, TaskCreated))


def caught_up(node: Node) -> bool:
    """Whether the node's replica has all that it wrote."""
    return bool(node.ask("WAIT", 1, 1_000) >= 1) and _offset(node) == _offset_of_replica(node)


def _offset(node: Node) -> int:
    return int(node.ask("INFO", "replication")["master_repl_offset"])


def _offset_of_replica(node: Node) -> int:
    return int(node.ask("INFO", "replication")["slave0"]["offset"])


def another(cluster: Cluster, than: Node) -> Node:
    return next(node for node in cluster.primaries() if node is not than)


# --- everything works ------------------------------------------------------------------------------------------------


def test_init_on_a_cluster_writes_the_hash_tag(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """`tt init --url` makes a town whose keys lie in one slot, and says which cluster it is on."""
    ran = tt("init", "--name", "tagged", "--url", cluster.url)
    assert (ran.code, cluster.url in ran.out) == (0, True)
    assert "hash_tag = true" in (folder / "tinytown.toml").read_text(encoding="utf-8")
    assert tt("assign", "ada", "Fix").code == 0
    keys = [key for node in cluster.primaries() for key in node.client().scan_iter(match="tt:*tagged*")]
    assert keys
    assert all(key.startswith(b"tt:{tagged}:") for key in keys)


def test_init_by_one_node_writes_the_hash_tag(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """A URL of one node that has the slot makes such a town, too."""
    node = cluster.primary_of("single")
    assert tt("init", "--name", "single", "--url", f"redis://{node.address}").code == 0
    assert "hash_tag = true" in (folder / "tinytown.toml").read_text(encoding="utf-8")
    assert tt("assign", "ada", "Fix").code == 0
    other = another(cluster, node)
    (folder / "tinytown.toml").write_text(
        f'name = "single"\n[redis]\nurl = "redis://{other.address}"\nhash_tag = true\n', encoding="utf-8"
    )
    ran = tt("trust", "--yes")
    ran = tt("tasks")
    assert (ran.code, "use a URL of the whole cluster, redis+cluster://" in ran.err) == (4, True), ran


def test_init_by_a_node_without_the_slot_makes_nothing(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """Whichever keys the node has, no town is made, nothing is left, and the error names the right kind of URL."""
    node = cluster.primaries()[0]
    names = (f"alone-{number}" for number in count())
    # The node has the key that is asked for first, and not the slot of the town.
    name = next(each for each in names if cluster.owner_of(f"tt:{each}:move") is node is not cluster.primary_of(each))
    ran = tt("init", "--name", name, "--url", f"redis://{node.address}")
    assert (ran.code, "No town was made, and nothing is left of it." in ran.err) == (4, True), ran
    assert "refused: MOVED" in ran.err
    assert "use a URL of the whole cluster, redis+cluster://" in ran.err
    assert list(folder.iterdir()) == []


def test_town_without_hash_tag_is_refused(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """Its keys would lie in several slots; the error names the setting."""
    assert tt("init", "--name", "loose", "--url", cluster.url).code == 0
    settings = folder / "tinytown.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("hash_tag = true", ""), encoding="utf-8")
    ran = tt("tasks")
    assert (ran.code, "needs `hash_tag = true` in [redis]" in ran.err) == (1, True)


def test_every_command_works_in_a_cluster(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """A day of a town: each command ends with code 0, and the town is as promised at the end."""
    assert tt("init", "--name", "daily", "--url", cluster.url).code == 0
    live_a_day(tt)
    assert (folder / "out.jsonl").stat().st_size > 0


# --- slots that move -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS_TO_MOVE)
def test_moving_a_slot_loses_and_doubles_nothing(cluster: Cluster, folder: Path, way: str) -> None:
    """While the town's slot moves from node to node, each command is carried out once, and each read answers."""
    name = f"moved-{way}"
    wanted = Counter[str]()

    def move() -> None:
        for moves in range(10 * MOVES):
            # A fast machine moves often while it creates one task.
            if moves >= MOVES and len(wanted) > MOVES:
                return
            WAYS_TO_MOVE[way](cluster, name, another(cluster, cluster.primary_of(name)))

    with made(cluster, folder, name) as town:
        mover = threading.Thread(target=move)
        mover.start()
        while mover.is_alive():
            text = f"task {len(wanted)}"
            task = town.create(text, tags=["a"]).task
            wanted[text] += 1
            assert town.task(task.id).description == text
            if len(wanted) % 25 == 0:
                town.upkeep.rebuild()
                assert town.page(limit=1).total == len(wanted)
        mover.join()
        assert len(wanted) > MOVES
        assert created(town) == wanted
        assert town.page(limit=1).total == len(wanted)
        assert town.upkeep.verify().findings == ()


def test_command_goes_to_the_node_that_is_being_given_the_slot(cluster: Cluster, folder: Path) -> None:
    """With a slot half moved, a key that is there already is found by ASK, with scripts that the node does not know yet."""
    with made(cluster, folder, "asked") as town:
        source = cluster.primary_of("asked")
        target = another(cluster, source)
        slot = redis.crc.key_slot(b"{asked}")
        target.ask("SCRIPT FLUSH")
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.ask("CLUSTER MYID"))
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", target.ask("CLUSTER MYID"))
        try:
            client, key = town.backend.client, town.backend.keys.lease("new")
            write = client.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
            assert write(keys=[key], args=["there"]) == b"OK"
            assert client.get(key) == b"there"
            # Keys that are on both nodes serve no script until all of them are moved.
            finished = threading.Timer(0.3, lambda: cluster.move("asked", target))
            finished.start()
            assert town.create("after").task.description == "after"
        finally:
            finished.join()
        assert client.get(key) == b"there"
        assert created(town) == {"after": 1}


def test_wait_for_replicas_goes_where_the_write_went(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the slot was moved meanwhile, the replicas of the new node count: the old one's have what nobody asks for."""
    monkeypatch.setattr(acks, "ACKS_MS_MAX", 600)
    with made(cluster, folder, "copied") as town:
        town.backend.replicas = 1
        last = town.create("before").positions[-1]
        target = another(cluster, cluster.primary_of("copied"))
        cluster.move("copied", target)
        [replica] = {entry[3][1] for entry in target.ask("CLUSTER SLOTS") if entry[2][1] == target.port}
        cluster.at(replica).pause()
        try:
            with pytest.raises(NotReplicatedError, match="not yet on 1 replica"):
                town.backend.acks.confirm(last)
        finally:
            cluster.at(replica).go_on()
        wait_until(lambda: target.ask("WAIT", 1, 1_000) == 1)


# --- primaries that end ----------------------------------------------------------------------------------------------


def test_primary_that_is_killed_is_followed_by_its_replica(whole: Cluster, folder: Path) -> None:
    """The next command waits for the failover, and nothing that the replica had is lost or doubled."""
    with made(whole, folder, "killed") as town:
        town.create("before")
        primary = whole.primary_of("killed")
        wait_until(lambda: caught_up(primary))
        primary.kill()
        town.create("after")
        assert created(town) == {"before": 1, "after": 1}
        assert town.page(limit=1).total == 2


def test_primary_that_hangs_is_left_when_another_takes_over(whole: Cluster, folder: Path) -> None:
    """A command in flight does not wait out its time limit: it is looked for at the new primary, and sent there."""
    with made(whole, folder, "hanging") as town:
        town.create("before")
        primary = whole.primary_of("hanging")
        wait_until(lambda: caught_up(primary))
        primary.pause()
        town.create("after")
        assert created(town) == {"before": 1, "after": 1}
        primary.go_on()
        wait_until(lambda: primary.ask("ROLE")[0] == b"slave")
        assert created(town) == {"before": 1, "after": 1}


def test_cluster_that_is_down_ends_in_clear_words(
    whole: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anybody who has the slot, a command ends after its bound, writes nothing, and says that the cluster is down."""
    monkeypatch.setattr(routed_client, "FAILOVER_SECONDS_MAX", 3.0)
    with made(whole, folder, "down") as town:
        town.create("before")
        for node in whole.nodes[:-1]:
            node.kill()
        with pytest.raises(StoreUnavailableError, match=r"did not answer|cluster is down"):
            town.create("never")


@pytest.fixture
def nowhere() -> str:
    """The URL of a cluster that is not there."""
    return "redis+cluster://127.0.0.1:1,127.0.0.1:2"


def test_cluster_that_is_not_there_is_said_at_once(nowhere: str, tt: Tt, folder: Path) -> None:
    """Nobody waits for a failover of a cluster that was never reached; no town is made."""
    ran = tt("init", "--url", nowhere)
    assert (ran.code, "none of the hosts in its URL answered" in ran.err) == (4, True), ran
    assert list(folder.iterdir()) == []


def test_server_that_is_no_cluster_is_named(tt: Tt, folder: Path, server_port: int) -> None:
    """A URL of a cluster that leads to a single server says so."""
    ran = tt("init", "--url", f"redis+cluster://127.0.0.1:{server_port}")
    assert (ran.code, "no node of a cluster" in ran.err) == (4, True), ran
    assert list(folder.iterdir()) == []


def test_server_that_is_no_sentinel_is_named(tt: Tt, folder: Path, server_port: int) -> None:
    """A URL of sentinels that leads to a server that has towns says so."""
    ran = tt("init", "--url", f"redis+sentinel://127.0.0.1:{server_port}/main")
    assert (ran.code, "it is no sentinel" in ran.err, "Is it running?" in ran.err) == (4, True, False), ran
    assert list(folder.iterdir()) == []


def test_wrong_password_is_not_taken_for_a_cluster_that_is_down(cluster: Cluster, tt: Tt, folder: Path) -> None:
    """The nodes answer and refuse: the error says what to correct, and shows no password."""
    ran = tt("init", "--url", cluster.url.replace("://", "://ada:geheim@"))
    assert (ran.code, "It refused the password: correct the URL." in ran.err) == (4, True), ran
    assert "geheim" not in ran.err
    assert list(folder.iterdir()) == []


@pytest.fixture
def server_port(tmp_path: Path) -> Iterator[int]:
    """The port of a single server."""
    node = Node(tmp_path.parent / f"{tmp_path.name}-single")
    yield node.port
    node.kill()


def test_keys_of_a_town_are_in_one_slot() -> None:
    """By the hash tag, whatever the key."""
    keys = Keys("demo", hash_tag=True)
    slots = {redis.crc.key_slot(key.encode()) for key in (keys.ledger, keys.heads, keys.task("x"), keys.view("a", "b"))}
    assert len(slots) == 1
