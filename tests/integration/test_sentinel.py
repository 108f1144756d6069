"""A town behind sentinels: it is found, and followed when another server becomes the primary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from ledger import NotReplicatedError
from tests.support.clusters import Node, Watched, running_sentinels
from tests.support.day import live_a_day
from tests.support.tt import run_here
from tests.support.waiting import wait_until
from town import Town
from town.server.bounded_client import BoundedConnection, bounded_options
from town.server.bounds import CONNECT_SECONDS_MAX
from town.server.routes import SentinelRoute


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A primary with two replicas, and three sentinels."""
    with running_sentinels(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


def descriptions(town: Town) -> list[str]:
    return [task.description for task in town.page().tasks]


def test_commands_find_the_primary(
    group: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tt init --url redis+sentinel://…/service` makes a town, and later commands go to the primary."""
    monkeypatch.chdir(tmp_path)
    tt = partial(run_here, capsys)
    assert tt("init", "--name", "plain", "--url", group.url).code == 0
    assert "hash_tag" not in (tmp_path / "tinytown.toml").read_text(encoding="utf-8")
    live_a_day(tt)
    assert group.url in tt("status").out
    assert group.primary().client().exists("tt:plain:ledger") == 1


def test_service_that_nobody_watches_is_named(
    group: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says which name the sentinels do not know, at once; no town is made."""
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "init", "--url", group.url.replace("/main", "/other"))
    assert (ran.code, "'other'" in ran.err) == (4, True), ran
    assert list(tmp_path.iterdir()) == []


def test_new_primary_is_followed(group: Watched, tmp_path: Path) -> None:
    """A primary that is killed, and one that hangs, are left for the next one, once; nothing that was copied is lost."""
    with Town.init(tmp_path / "town", name="followed", url=group.url, actor="a", is_registered=False) as town:
        town.create("before")
        for text, end in (("after the kill", "kill"), ("after the pause", "pause")):
            primary = group.primary()
            wait_until(lambda primary=primary: primary.ask("WAIT", 1, 1_000) >= 1 and is_copied(primary))  # type: ignore[misc]
            getattr(primary, end)()
            town.create(text)
            # The sentinel that is asked first may hear of it later than the town.
            wait_until(lambda primary=primary: group.primary() is not primary)  # type: ignore[misc]
        assert descriptions(town) == ["before", "after the kill", "after the pause"]
        assert town.upkeep.verify().findings == ()


def test_sentinel_that_hangs_is_left_in_time(group: Watched) -> None:
    """A bound that is given for one question holds, whatever the usual ones are."""
    sentinel = group.sentinels[0]
    address = ("127.0.0.1", sentinel.client_port)
    options = bounded_options() | {"connection_class": BoundedConnection}
    route = SentinelRoute([address], "main", options, options)
    assert route._ask_one(address, seconds_max=5.0) is not None
    sentinel.pause()
    try:
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            route._ask_one(address, seconds_max=0.1)
        assert time.monotonic() - began < CONNECT_SECONDS_MAX / 2
    finally:
        sentinel.go_on()


def is_copied(primary: object) -> bool:
    """Whether all replicas have all that the primary wrote."""
    told = primary.ask("INFO", "replication")  # type: ignore[attr-defined]
    offsets = [told[f"slave{number}"]["offset"] for number in range(told["connected_slaves"])]
    return bool(offsets) and all(offset == told["master_repl_offset"] for offset in offsets)


def test_replaced_primary_with_a_replica_left_confirms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have the event, and lose it once the sentinels reach them. It was acknowledged, because a replica had it."""
    with running_sentinels(tmp_path / "s") as group:
        folder = tmp_path / "town"
        Town.init(folder, name="replaced", url=group.url, actor="a", is_registered=False).close()
        settings = folder / "tinytown.toml"
        settings.write_text(settings.read_text("utf-8").replace("[redis]\n", '[redis]\nacks = "replicas:1"\n'), "utf-8")
        primary = group.primary()
        left = next(node for node in group.servers if node is not primary)
        left.ask("CONFIG SET", "replica-priority", 0)
        for sentinel in group.sentinels:
            sentinel.ask("SENTINEL DEBUG", "info-period", 100)
        wait_until(lambda: all(_has_unfit_replica(sentinel) for sentinel in group.sentinels))
        for node in (primary, left):
            # The sentinels do not reach them.
            node.ask("ACL SETUSER", "default", "-replicaof", "-slaveof")
        with Town.open(folder, actor="a") as town:
            town.create("before")
            wait_until(lambda: primary.ask("WAIT", 2, 1_000) == 2 and is_copied(primary))
            monkeypatch.setattr(SentinelRoute, "expire", lambda _: None)
            primary.pause()
            wait_until(lambda: group.primary() is not primary)
            primary.go_on()
            assert primary.ask("WAIT", 1, 1_000) == 1
            with pytest.raises(NotReplicatedError, match="and is lost"):
                town.create("nowhere")
            assert descriptions(town) == ["before"]


def _has_unfit_replica(sentinel: Node) -> bool:
    """Whether the sentinel knows of a replica that is never to be the primary."""
    (replicas,) = [sentinel.ask("SENTINEL REPLICAS", "main")]
    return any(dict(zip(each[::2], each[1::2], strict=True))[b"slave-priority"] == b"0" for each in replicas)
