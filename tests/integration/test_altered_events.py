"""Events that somebody altered in the stream: every number is there, and `verify` says which event is not what it was (P3, P10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import redis

from tests.support.scene import Scene, opened_scene

Fields = dict[str, Any]


@pytest.fixture
def scene(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(client, server_socket, tmp_path) as scene:
        yield scene


def alter(scene: Scene, position: str, change: Callable[[Fields], Fields]) -> None:
    """Write the stream anew, with one event changed: positions and heads stay as they are."""
    entries = scene.client.xrange(scene.keys.ledger)
    scene.client.delete(scene.keys.ledger)
    for place, entry in entries:
        payload = entry[b"event"]
        if place.decode() == position:
            payload = msgspec.json.encode(change(msgspec.json.decode(payload)))
        scene.client.xadd(scene.keys.ledger, {"event": payload}, id=place)


def position_of(scene: Scene, task: str, version: int) -> str:
    return str(scene.town.backend.store.history(scene.tasks[task])[version - 1].position)


class Alteration(NamedTuple):
    """Which event is changed, and what `verify` says of it."""

    task: str
    version: int
    change: Callable[[Fields], Fields]
    kind: str
    problem: str


CREATED = {"type": "task.created", "schema": 2, "data": {"description": "again"}}
ADOPTED = {
    "type": "task.adopted",
    "schema": 1,
    "data": {
        "records": [],
        "description": "old",
        "state": "pending",
        "created_at": "yesterday",
        "updated_at": "yesterday",
    },
}
ALTERATIONS = {
    "prev of another event": Alteration(
        "completed", 3, lambda event: event | {"prev": "1-1"}, "prev", "names 1-1 as the one before it"
    ),
    "no prev": Alteration(
        "completed", 3, lambda event: event | {"prev": None}, "prev", "names None as the one before it"
    ),
    "prev of a first event": Alteration(
        "pending", 1, lambda event: event | {"prev": "1-1"}, "prev", "names 1-1 as the one before it"
    ),
    "version ahead": Alteration(
        "completed", 3, lambda event: event | {"version": 9}, "version", "goes from version 2 to 9"
    ),
    "version back": Alteration(
        "completed", 3, lambda event: event | {"version": 2}, "version", "goes from version 2 to 2"
    ),
    "created twice": Alteration("completed", 2, lambda event: event | CREATED, "event", "says task.created of task"),
    "first event no creation": Alteration(
        "pending", 1, lambda event: event | {"type": "task.started", "schema": 1, "data": {}}, "event", "does not exist"
    ),
    "adopted at no time": Alteration("pending", 1, lambda event: event | ADOPTED, "event", "is not a task.adopted"),
}


@pytest.mark.parametrize("alteration", ALTERATIONS.values(), ids=ALTERATIONS)
def test_altered_event_is_named_with_its_position(scene: Scene, alteration: Alteration) -> None:
    """Its kind, its position and what is wrong; nothing else in the stream is blamed."""
    position = position_of(scene, alteration.task, alteration.version)
    alter(scene, position, alteration.change)
    found = [each for each in scene.findings() if each.kind in {"sequence", "version", "prev", "event"}]
    named = [each for each in found if each.where == position]
    assert [each.kind for each in named] == [alteration.kind]
    assert alteration.problem in named[0].problem
    others = [each for each in found if each.where != position]
    if alteration.kind == "version":
        # Its next event does not follow a version that is not what it was.
        assert all(scene.tasks[alteration.task] in each.problem for each in others), others
    else:
        assert others == []


def test_adoption_that_says_what_cannot_be_is_told_also_behind_a_lost_creation(scene: Scene) -> None:
    """Nothing is known of the task by then, and the event is damage of its own."""
    first, second = (position_of(scene, "completed", version) for version in (1, 2))
    alter(scene, second, lambda event: event | ADOPTED)
    scene.client.xdel(scene.keys.ledger, first)
    found = [each.kind for each in scene.findings() if each.where == second]
    assert sorted(found) == ["event", "sequence", "version"]


def test_altered_event_does_not_hide_the_next(scene: Scene) -> None:
    """Two events of one batch, and both are named."""
    positions = [position_of(scene, "completed", 3), position_of(scene, "failed", 2)]
    for position in positions:
        alter(scene, position, lambda event: event | {"prev": "1-1"})
    assert [each.where for each in scene.findings() if each.kind == "prev"] == sorted(positions)


def test_stream_written_anew_as_it_was_is_sound(scene: Scene) -> None:
    """What the tests above find is the change, and not that the stream was written anew."""
    alter(scene, position_of(scene, "completed", 3), lambda event: event)
    assert scene.findings() == ()
