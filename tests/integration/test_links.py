"""The links of a task as `tt task show` has them, now and at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import LinkKind
from town import Town


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    """A town on the session's server."""
    assert client.dbsize() == 0
    url = f"unix://{server_socket}"
    with Town.init(tmp_path / "place", name="place", url=url, actor="alice", is_registered=False) as town:
        yield town


def test_links_have_the_same_order_at_a_moment_as_now(town: Town) -> None:
    """First those from the task, by kind, then those to it; at a moment, both came together for each kind."""
    for name in ("a", "b", "c"):
        town.create(name, alias=name)
    town.link("b", ["a"], LinkKind.RELATES)
    town.link("b", ["a"], LinkKind.NEEDS)
    town.link("c", ["b"], LinkKind.RELATES)
    town.link("c", ["b"], LinkKind.NEEDS)
    now = town.details("b").links
    end = town.end()
    town.note("b", "later")
    assert town.at(str(end)).details("b").links == now
    assert [(each.kind, each.is_to_it) for each in now] == [
        (LinkKind.NEEDS, False),
        (LinkKind.RELATES, False),
        (LinkKind.NEEDS, True),
        (LinkKind.RELATES, True),
    ]
