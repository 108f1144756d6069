"""A small town on the session's server to damage: tasks in every state, neighbours that must not change, and what is sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import redis

from ledger import EventStore, Keys, Position
from projections import VIEWS, Board, Finding, is_snapshot, replay
from tests.support.expected_keys import actual_keys, dump_each, dump_keys, expected_keys, expected_tallies, legacy_keys
from tests.support.tt import Ran
from town import Town

Tt = Callable[..., Ran]
TINYTOWN_KEYS = ("agent:worker-1", "inbox:worker-1", "events", "viewer", "tasks", "checkpoints")
"""What Tinytown, or anybody, may keep beside a town's own keys; some begin as ours do."""


class Scene(NamedTuple):
    """A town, its tasks by the name of their state, and a plain client of its server (whose types know no bytes)."""

    town: Town
    client: Any
    tasks: dict[str, str]

    @property
    def keys(self) -> Keys:
        return self.town.keys

    def view(self, name: str, part: str | None = None) -> str:
        """The key of a view; a parent is named as in `tasks`."""
        return self.keys.view(name, self.tasks[part] if part is not None and name == "parent" else part)

    def snapshot(self, name: str) -> str:
        return self.keys.task(self.tasks[name])

    def dump(self) -> dict[bytes, bytes | None]:
        """Every key of the server and its bytes, but for the leases, which end by themselves."""
        lease = self.keys.lease("").encode()
        names = cast("list[bytes]", sorted(self.client.scan_iter(count=1_000)))
        return dump_each(self.client, [name for name in names if not name.startswith(lease)])

    def dump_foreign(self) -> dict[bytes, bytes | None]:
        """As `dump`, of the keys that are not this town's."""
        own = dump_keys(self.client, self.keys)
        kept = [f"{self.keys.prefix}:{name}".encode() for name in TINYTOWN_KEYS]
        return {name: content for name, content in self.dump().items() if name not in own} | dump_each(
            self.client, kept
        )

    def findings(self) -> tuple[Finding, ...]:
        """What `verify` finds; it writes nothing."""
        before = self.dump()
        found = self.town.upkeep.verify().findings
        assert self.dump() == before, "verify wrote something"
        return found


@contextmanager
def opened_scene(client: redis.Redis, socket: Path, folder: Path) -> Iterator[Scene]:
    """A town with a task in each state, one removed, a parent and a child; a second town beside it."""
    url = f"unix://{socket}"
    with (
        Town.init(folder / "other", name="scene.other", url=url, actor="eve", is_registered=False) as other,
        Town.init(folder / "scene", name="scene", url=url, actor="ada", is_registered=False) as town,
    ):
        other.create("Somebody else's", agent="worker-1", tags=["bug"])
        tasks = _fill(town)
        for name in TINYTOWN_KEYS:
            client.set(f"{town.keys.prefix}:{name}", "Tinytown's own")
        yield Scene(town, client, tasks)


def _fill(town: Town) -> dict[str, str]:
    tasks = {
        "pending": town.create("Write the docs ✅", tags=["bug", "two words"], alias="bd-1").task.id,
        "removed": town.create("Never mind", agent="worker-2").task.id,
    }
    tasks["assigned"] = town.create("Measure it", agent="worker-1", parent=tasks["pending"]).task.id
    for name in ("running", "completed", "failed", "cancelled"):
        tasks[name] = town.create(f"To be {name}", agent="worker-1", tags=["bug"]).task.id
        if name != "cancelled":
            town.start(tasks[name])
    town.remove(tasks["removed"])
    town.complete(tasks["completed"], result="Done")
    town.fail(tasks["failed"], error="It broke")
    town.cancel(tasks["cancelled"], reason="Not wanted")
    town.note(tasks["running"], "Half way")
    return tasks


def assert_sound(
    client: redis.Redis, keys: Keys, board: Board | None = None, *, set_aside: dict[bytes, bytes | None] | None = None
) -> None:
    """Fail unless snapshots, views and checkpoints are as the board (None: the whole ledger's) says; of any one generation.

    `set_aside` is exactly what was set aside, name -> bytes; None: nothing was.
    """
    folded = replay(EventStore(client, keys)) if board is None else board
    generations = {
        client.hget(keys.checkpoint(name), "generation") for name in ("task", *(view.name for view in VIEWS))
    }
    assert len(generations) == 1
    tallies = expected_tallies(client, keys, upto=folded.position)
    expected: dict[str, Any] = dict(expected_keys(folded, keys) | tallies)
    for key, content in expected.items():
        if key.startswith(keys.checkpoint("")):
            expected[key] = content | {b"generation": next(iter(generations))}
    actual = actual_keys(client, keys)
    actual = {key: actual[key] for key in actual if key.removeprefix(f"{keys.prefix}:") not in TINYTOWN_KEYS}
    assert actual == expected
    assert legacy_keys(client, keys) == (set_aside or {})


def to_set_aside(client: Any, keys: Keys) -> dict[bytes, bytes | None]:
    """What lies in the place of snapshots and is none: the names it is to be set aside under, and its bytes."""
    places = cast("list[bytes]", sorted(client.scan_iter(match=keys.task("*"), count=1_000)))
    prefix = keys.task("").encode()
    return {
        keys.legacy("").encode() + name + (b":2" if client.hexists(keys.heads, name.removeprefix(prefix)) else b""): (
            client.dump(name)
        )
        for name in places
        if client.type(name) != b"string" or not is_snapshot(client.get(name))
    }


def edit_json(client: redis.Redis, key: str, **fields: object) -> None:
    """Edit fields of a snapshot as a person would, by hand."""
    snapshot = msgspec.json.decode(cast("bytes", client.get(key)))
    client.set(key, msgspec.json.encode(snapshot | fields))


def nth_position(town: Town, number: int) -> Position:
    """The position of event `number`."""
    position = town.backend.store.position_of(number)
    assert position is not None
    return position
