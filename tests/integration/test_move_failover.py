"""A town moves while the primary that it leaves, or the one where it goes, dies: nothing is lost or doubled.

Where the primary that dies had lost its replica before, whatever it wrote alone is gone with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from ledger import LedgerClosedError, LedgerError, NotReplicatedError, StoreUnavailableError, acks
from tests.integration.test_move import Writers, assert_sound, ledger_of
from tests.support.clusters import Cluster, Node, running_cluster
from tests.support.histories import Filler
from tests.support.waiting import wait_until
from town import Town, move_town
from town.folder.settings import SETTINGS_FILE, read_settings
from town.moving import _Goal, _Moving

NAME: Final = "traveller"
WRITTEN: Final = 10
"""How many events are acknowledged before a move begins."""
ATTEMPTS_MAX: Final = 5
"""How often a move that a failover has stopped is given again."""
COPIED: Final = (_Moving, "_prove")
CLOSED: Final = (_Moving, "_compare_ends")
LEFT: Final = (_Moving, "_finish")
OPENED: Final = (_Moving, "_open_target")
ARRIVED: Final = (_Goal, "switch")
"""Steps of a move."""
Step = tuple[type, str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """The cluster, for a test that ends nodes: they run again afterwards, without towns."""
    yield running
    for node in running.nodes:
        if not node.answers():
            node.start()
        node.ask("ACL SETUSER", "default", "+@all")
    wait_until(running.has_settled)
    for node in running.primaries():
        node.ask("FLUSHALL")


@pytest.fixture
def town(folder: Path) -> Path:
    """The folder of a town with some history, on its own server."""
    with Town.init(folder, name=NAME) as opened:
        Filler(opened.backend.store, seed=1, tasks=20).fill(60)
    return folder


def wait_for_replicas(folder: Path) -> None:
    """Let the town's commands wait for one replica."""
    settings = folder / SETTINGS_FILE
    text, table = settings.read_text(encoding="utf-8"), "[redis]\n"
    whole = text if table in text else f"{text}\n{table}"
    settings.write_text(whole.replace(table, f'{table}acks = "replicas:1"\n'), encoding="utf-8")
    assert read_settings(folder).redis.replicas == 1


class Death:
    """The end of the town's primary, once, right before a step of a move."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, before: Step) -> None:
        self._cluster = cluster
        self._monkeypatch = monkeypatch
        self._node: Node | None = None
        self._do_before(before, self.come)
        # Nobody waits long for a replica that is not there.
        monkeypatch.setattr(acks, "ACKS_MS_MAX", 1_000)
        # A replica that is lost while the town moves cannot be counted before. To lose it earlier is the same, and simpler.
        monkeypatch.setattr(_Moving, "_refuse_too_few_replicas", lambda _: None)

    def _do_before(self, step: Step, act: Callable[[], None]) -> None:
        owner, name = step
        go_on = getattr(owner, name)

        def act_first(*arguments: object, **options: object) -> object:
            act()
            return go_on(*arguments, **options)

        self._monkeypatch.setattr(owner, name, act_first)

    def cut_off_replica(self) -> None:
        """What the primary writes from now on is gone with it."""
        if self._node is None:
            node = self._cluster.primary_of(NAME)
            node.ask("ACL SETUSER", "default", "-psync", "-sync")
            node.ask("CLIENT KILL", "TYPE", "replica")

    def cut_off_replica_before(self, step: Step) -> None:
        self._do_before(step, self.cut_off_replica)

    def come(self) -> None:
        """Now, unless it came already."""
        if self._node is None:
            self._node = self._cluster.primary_of(NAME)
            self._node.kill()

    def undo(self) -> None:
        """Let the server run again, as a replica that follows."""
        assert self._node is not None
        if not self._node.answers():
            self._node.start()
        wait_until(self._cluster.has_settled)


def move_in_the_end(folder: Path, url: str | None, death: Death) -> list[str]:
    """Give the move until it is done; the words of those that ended otherwise. After the first of them the primary is dead."""
    words: list[str] = []
    for _ in range(ATTEMPTS_MAX):
        try:
            assert move_town(folder, url).is_done
        except LedgerError as error:
            words.append("\n".join([str(error), *getattr(error, "__notes__", [])]))
            death.come()
            death.undo()
        else:
            return words
    raise AssertionError(words)


def test_copy_that_no_replica_has_is_not_left_for(
    town: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move says so while the town is where it was, and is done when it is given again after the failover."""
    wait_for_replicas(town)
    death, before = Death(cluster, monkeypatch, LEFT), ledger_of(town)
    death.cut_off_replica()
    [words] = move_in_the_end(town, cluster.url, death)
    assert "has a copy of the town, and it is not known that a replica would know it after a failover" in words
    assert "The town has left" not in words
    assert ledger_of(town) == before
    assert_sound(town)


def test_opening_that_no_replica_has_is_done_again(
    town: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that would be closed after a failover is not what the folder's settings name: the same command opens it again."""
    wait_for_replicas(town)
    death, before = Death(cluster, monkeypatch, ARRIVED), ledger_of(town)
    death.cut_off_replica_before(OPENED)
    [words] = move_in_the_end(town, cluster.url, death)
    assert "its ledger was opened, and it is not known that a replica" in words
    assert f"The town has left; `tt move-town {cluster.url}`, given again, finishes the move." in words
    assert ledger_of(town) == before
    assert_sound(town)


def test_copy_that_is_lost_when_the_town_has_left_is_made_again(
    town: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if nobody waits for replicas: all of it is where the town was. An empty ledger is not taken for the town."""
    death, before = Death(cluster, monkeypatch, LEFT), ledger_of(town)
    death.cut_off_replica()
    move_in_the_end(town, cluster.url, death)
    assert ledger_of(town) == before
    assert_sound(town)


@pytest.mark.parametrize("step", [CLOSED, LEFT, OPENED], ids=["closed", "left", "opened"])
def test_old_place_that_fails_over_keeps_one_town(
    town: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """A last step that no replica has is none: the move is made again, and the old place takes no events beside the new one."""
    move_town(town, cluster.url)
    wait_for_replicas(town)
    before, settings = ledger_of(town), town / SETTINGS_FILE
    old = settings.read_bytes()
    death = Death(cluster, monkeypatch, step)
    death.cut_off_replica()
    words = move_in_the_end(town, None, death)
    assert all("try again" in each or "Give the same command again" in each for each in words), words
    assert ledger_of(town) == before
    assert_sound(town)
    settings.write_bytes(old)
    with pytest.raises(LedgerClosedError, match="it is at its own server"):
        Town.open(town)


@pytest.mark.parametrize("is_leaving", [False, True], ids=["new place", "old place"])
def test_writers_lose_nothing_by_a_failover(
    town: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, is_leaving: bool
) -> None:
    """Every event that was acknowledged while the town moved is there once, at its position."""
    if is_leaving:
        move_town(town, cluster.url)
        wait_for_replicas(town)
    death = Death(cluster, monkeypatch, COPIED)
    with Writers(town, StoreUnavailableError, NotReplicatedError) as writers:
        wait_until(lambda: len(writers.acknowledged) > WRITTEN or writers.failures)
        move_in_the_end(town, None if is_leaving else cluster.url, death)
    assert writers.failures == []
    entries = dict(ledger_of(town))
    for task, position in writers.acknowledged:
        assert f'"task":"{task}"'.encode() in entries[position.encode()][1]
    assert len(entries) == len({seq.split(b"-")[1] for seq in entries})
    assert_sound(town)
