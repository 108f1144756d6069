"""Connections of the client of a town in a cluster, where storms found them wanting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.clusters import Node, running_cluster, running_sentinels
from tests.support.waiting import wait_until
from town import Town
from town.server.routed_client import Routed


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The only node of a cluster."""
    with running_cluster(tmp_path_factory.mktemp("c") / "n", primaries=1, replicas=0) as cluster:
        yield cluster.nodes[0]


def close_connections(node: Node) -> None:
    node.ask("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")


def test_connection_that_is_closed_right_after_it_was_made_is_made_again(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool looks at a connection before it hands it out.

    The bug looked like this: a connection was closed while it waited in the pool, and the new one again before the pool's
    second look; the command failed with "Connection closed by server", although nothing had been sent.
    """
    with Town.init(tmp_path / "town", name="t", url=f"redis+cluster://{node.address}") as town:
        task = town.create("a").task.id
        connect = Routed.connect_check_health
        closings = [1, 2]

        def connect_and_be_closed(connection: Routed, *arguments: Any, **options: Any) -> None:
            connect(connection, *arguments, **options)
            if closings:
                closings.pop()
                close_connections(node)

        close_connections(node)
        monkeypatch.setattr(Routed, "connect_check_health", connect_and_be_closed)
        assert town.note(task, "once").task.version == 2
        assert not closings


@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "closed meanwhile"])
def test_primary_that_comes_back_after_it_was_replaced_gets_no_writes(tmp_path: Path, is_connected: bool) -> None:
    """Until sentinels tell it, some 10 s later, it takes itself for the primary; what it acknowledges then is lost.

    The bug looked like this: a storm lost hundreds of acknowledged events to a primary that had hung for two seconds.
    """
    with (
        running_sentinels(tmp_path / "s", replicas=1) as group,
        Town.init(tmp_path / "town", name="t", url=group.url) as town,
    ):
        task, old = town.create("a").task.id, group.primary()
        wait_until(lambda: all(server.ask("XLEN", town.keys.ledger) == 1 for server in group.servers))
        old.pause()
        wait_until(lambda: all(known_port(sentinel) != old.port for sentinel in group.sentinels))
        old.go_on()
        if not is_connected:
            close_connections(old)
        (position,) = town.note(task, "kept").positions
        assert old.ask("ROLE")[0] == b"master"
        [new] = [server for server in group.servers if server is not old]
        with closing(new.client()) as client:
            assert client.xrange(town.keys.ledger, position, position)


def known_port(sentinel: Node) -> int:
    """The port of the primary, once a failover is over: while it goes on, the address by name is the new one already."""
    [told] = sentinel.ask("SENTINEL MASTERS").values()
    return int(told["port"])
