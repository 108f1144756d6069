"""Two towns on one server never see each other, however alike their names are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import redis

from ledger import TOWNS_KEY, CommandRejectedError, EventStore, State, task_id_of_alias
from projections import TaskFilter, replay
from tests.support.expected_keys import assert_projected, dump_keys
from tests.support.towns import trust
from town import EventFilter, Town
from town.server.durability import read_durability

NAMES = [("a", "b"), ("a", "a.b"), ("a", "a-b"), ("a", "ab"), ("a", "A"), ("a.view", "a"), ("x-1", "x")]
ISSUE = {"id": "bd-1", "title": "from elsewhere", "status": "open", "priority": 1, "issue_type": "task"}
ISSUE |= {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "created_by": "ada"}


@pytest.fixture(params=NAMES, ids="+".join)
def towns(
    request: pytest.FixtureRequest, client: redis.Redis, server_socket: Path, tmp_path: Path
) -> Iterator[tuple[Town, Town]]:
    """Two towns with the same tasks, on one server."""
    assert client.dbsize() == 0
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(Town.init(tmp_path / str(number), name=name, url=f"unix://{server_socket}"))
            for number, name in enumerate(request.param)
        )
        for town in (first, second):
            town.create("shared words", alias="tt-1", tags=["backend"], agent="worker-1")
            town.create("below", alias="tt-2", parent="tt-1")
            town.create("to be claimed", alias="tt-3")
            town.create("to be finished", alias="tt-4", agent="worker-2")
        yield first, second


def an_export(folder: Path) -> Path:
    path = folder / "export.jsonl"
    path.write_bytes(msgspec.json.encode(ISSUE) + b"\n")
    return path


def every_verb(town: Town) -> Iterator[Callable[[], object]]:
    """One call of each verb, in an order in which each does something."""
    yield lambda: town.claim("tt-3", "worker-3")
    yield lambda: town.requeue("tt-3")
    yield lambda: town.assign("tt-3", "worker-1")
    yield lambda: town.start("tt-1")
    yield lambda: town.complete("tt-1", result="done", is_forced=True)
    yield lambda: town.reopen("tt-1")
    yield lambda: town.fail("tt-4", error="it broke")
    yield lambda: town.cancel("tt-3", reason="not wanted")
    yield lambda: town.describe("tt-2", "other words")
    yield lambda: town.tag("tt-2", add=["frontend"])
    yield lambda: town.note("tt-2", "half way")
    yield lambda: town.move("tt-2", None)
    yield lambda: town.assign_all("worker-9")
    yield lambda: town.remove("tt-2")
    yield lambda: town.create("new", alias="tt-5")
    yield lambda: town.imports.beads(an_export(town.folder), prune=True)
    yield lambda: town.create("by hand", tags=["backend"])
    yield town.upkeep.catch_up
    yield town.page
    yield lambda: town.page(TaskFilter(state=State.PENDING, tag="backend"))
    yield town.backlog
    yield lambda: town.current("worker-1")
    yield town.count_states
    yield town.count_agents
    yield lambda: town.history("tt-1")
    yield lambda: town.events.last(count=None)
    yield lambda: town.events.last(EventFilter(agent="worker-1"))
    yield lambda: town.at(town.end())
    yield town.end
    yield town.events.beginning
    yield lambda: read_durability(town.connection)


def test_every_verb_on_one_town_leaves_the_other_as_it_is(towns: tuple[Town, Town], client: redis.Redis) -> None:
    """Byte for byte, key for key, in both directions; and no key appears outside the two towns."""
    for town, other in (towns, towns[::-1]):
        before = dump_keys(client, other.keys)
        assert len(before) > 10
        listed = client.hgetall(TOWNS_KEY)
        for verb in every_verb(town):
            verb()
            assert dump_keys(client, other.keys) == before
            assert client.hgetall(TOWNS_KEY) == listed
    everything = {bytes(key) for key in client.scan_iter(count=1_000)}
    ours = {key for town in towns for key in dump_keys(client, town.keys)}
    # The list of towns, which both wrote when they were made, and no verb touches.
    assert everything == ours | {TOWNS_KEY.encode()}
    assert listed == {town.name.encode(): b"" for town in towns}


def test_every_verb_returns_when_snapshots_and_views_show_it(towns: tuple[Town, Town], client: redis.Redis) -> None:
    """Any Redis client that looks after a verb returned sees what it did, without asking a town (P6)."""
    town, _ = towns
    store = EventStore(client, town.keys)
    for verb in every_verb(town):
        verb()
        assert_projected(client, town.keys, replay(store))


def test_towns_show_their_own_tasks_only(towns: tuple[Town, Town]) -> None:
    """The same alias leads to another task in each town; the other town's ids lead to nothing."""
    first, second = towns
    first.describe("tt-1", "only here")
    assert (first.task("tt-1").description, second.task("tt-1").description) == ("only here", "shared words")
    assert first.task("tt-1").id == task_id_of_alias(first.name, "tt-1") != second.task("tt-1").id
    assert (first.page().total, second.page().total) == (4, 4)
    assert (first.end().seq, second.end().seq) == (7, 6)
    with pytest.raises(CommandRejectedError):
        first.task(second.task("tt-1").id)
    with pytest.raises(CommandRejectedError):
        first.history(second.task("tt-1").id)


def test_towns_named_by_the_url_in_the_environment_share_one_server(
    client: redis.Redis, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REDIS_URL goes before the settings, and no server is started in the folder."""
    monkeypatch.setenv("REDIS_URL", f"unix://{server_socket}")
    with Town.init(tmp_path / "town", name="by-environment") as town:
        town.create("a")
        assert client.xlen(town.keys.ledger) == 1
        assert town.connection.server is None
    assert not (tmp_path / "town" / ".tt").exists()


def test_town_with_a_hash_tag_keeps_to_its_own_keys(client: redis.Redis, server_socket: Path, tmp_path: Path) -> None:
    """`tt:{name}:…` is another town than `tt:name:…`: one setting, one set of keys."""
    for number, hash_tag in enumerate(("false", "true")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "tinytown.toml").write_text(
            f'name = "tagged"\n[redis]\nurl = "unix://{server_socket}"\nhash_tag = {hash_tag}\n', encoding="utf-8"
        )
        trust(folder)
        with Town.open(folder) as town:
            town.create("a", agent="worker-1")
            assert town.page().total == 1
    plain = {bytes(key) for key in client.scan_iter(match="tt:tagged:*")}
    tagged = {bytes(key) for key in client.scan_iter(match="tt:{tagged}:*")}
    assert len(plain) == len(tagged) > 5
    assert plain | tagged == {bytes(key) for key in client.scan_iter()}
