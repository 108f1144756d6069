"""Towns that another version of this program wrote: an older one stops and writes nothing, a newer one says `tt rebuild`."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from ledger import LedgerDamagedError, LedgerError, Position, Task, TaskNoted
from projections import VIEWS, NewerProjectionError, OutdatedProjectionError, Projector, Rebuild
from projections.views.by_state import ByState
from projections.views.view import View, ViewEntry
from tests.support.builders import append
from tests.support.scene import Scene, assert_sound, opened_scene
from tests.support.tt import run_here
from town import Town, Worker

UPGRADE = "upgrade"
PROJECTIONS = ("task", *(view.name for view in VIEWS))

VERBS: dict[str, Callable[[Town, str], object]] = {
    "create": lambda town, _: town.create("New"),
    "note": lambda town, task: town.note(task, "x"),
    "complete": lambda town, task: town.complete(task, result="x"),
    "task": lambda town, task: town.task(task),
    "page": lambda town, _: town.page(),
    "backlog": lambda town, _: town.backlog(),
    "count": lambda town, _: town.count_states(),
    "stats": lambda town, _: town.stats(),
    "tree": lambda town, _: [town.tree(), town.tree("bd-1")],
    "assign_all": lambda town, _: town.assign_all("worker-1"),
    "history": lambda town, task: town.history(task),
}

READS = ("task", "page", "backlog", "count", "history", "stats", "tree")


def without_numbers(found: object) -> object:
    """What was read, but for the rank of a task, which its snapshot does not hold."""
    return json.loads(re.sub(rb'"number":\d+', b'"number":0', msgspec.json.encode(found, enc_hook=str)))


@pytest.fixture
def scene(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(client, server_socket, tmp_path) as scene:
        yield scene


def newer_projection(projection: str) -> Callable[[Scene], None]:
    def raise_schema(scene: Scene) -> None:
        scene.client.hset(scene.keys.checkpoint(projection), "schema_version", 99)

    return raise_schema


def newer_event(**fields: object) -> Callable[[Scene], None]:
    """An event that this program does not know, as the newer program's append script would leave it."""

    def add(scene: Scene) -> None:
        task = scene.tasks["running"]
        version, prev = scene.town.backend.store.head(task)
        end = scene.town.end()
        position = Position.of(ms=end.ms, seq=end.seq + 1)
        envelope: dict[str, object] = {
            "prev": str(prev),
            "type": "task.noted",
            "schema": 1,
            "task": task,
            "version": version + 1,
            "actor": "eve",
            "command": "c",
            "data": {"text": "x"},
        }
        entry: dict[Any, Any] = {"event": msgspec.json.encode(envelope | fields)}
        scene.client.xadd(scene.keys.ledger, entry, id=position)
        scene.client.hset(scene.keys.heads, task, f"{version + 1}:{position}")

    return add


NEWER: dict[str, Callable[[Scene], None]] = {
    **{f"projection {name}": newer_projection(name) for name in ("task", "tag", "throughput")},
    "event of a newer schema": newer_event(schema=2),
    "event of an unknown type": newer_event(type="task.exploded"),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("newer", NEWER.values(), ids=NEWER)
def test_older_program_stops_with_the_advice_to_upgrade(
    scene: Scene, newer: Callable[[Scene], None], verb: Callable[[Town, str], object]
) -> None:
    """Every command, and nothing is written."""
    newer(scene)
    before = scene.dump()
    with pytest.raises(LedgerDamagedError, match=UPGRADE):
        verb(scene.town, scene.tasks["running"])
    assert scene.dump() == before


@pytest.mark.parametrize("newer", NEWER.values(), ids=NEWER)
def test_older_program_does_not_rebuild_or_verify_what_is_newer(
    scene: Scene, newer: Callable[[Scene], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify`, `rebuild`, with and without --accept-loss or --dry-run, and the worker: each says upgrade, none writes."""
    newer(scene)
    before = scene.dump()
    folder = str(scene.town.folder)
    for arguments in (
        ["verify"],
        ["rebuild"],
        ["rebuild", "--accept-loss"],
        ["rebuild", "--view", "state"],
        ["projector", "--once"],
        ["stats"],
        ["tasks"],
        ["assign", "worker-1", "Something"],
    ):
        ran = run_here(capsys, *arguments, "--town", folder)
        assert ran.code == 5, arguments
        assert UPGRADE in (ran.out + ran.err).lower(), arguments
        assert scene.dump() == before, arguments
    reports: list[LedgerError | None] = []
    worker = Worker(scene.town.folder, stop=threading.Event(), report=lambda report: reports.append(report.problem))
    worker.run()
    assert worker.damage is not None
    assert UPGRADE in str(reports)
    assert scene.dump() == before


@pytest.mark.parametrize("newer", [newer_event(schema=2), newer_event(type="task.exploded")])
def test_newer_event_is_not_taken_for_a_lost_one(scene: Scene, newer: Callable[[Scene], None]) -> None:
    """Even where everything is to be folded anew: the advice is to upgrade, not to accept a loss."""
    newer(scene)
    scene.client.hset(scene.keys.checkpoint("tag"), "position", "5-1")
    before = scene.dump()
    for accepts_loss in (False, True):
        with pytest.raises(LedgerDamagedError, match=UPGRADE) as caught:
            scene.town.upkeep.rebuild(accepts_loss=accepts_loss)
        assert "--accept-loss" not in str(caught.value)
    assert scene.dump() == before


def test_older_program_leaves_the_views_of_a_newer_one_alone(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A newer program has one view more: nothing is committed without it, and nothing of it is deleted.

    The bug looked like this: commands went on and left the view behind, and `tt rebuild` deleted it.
    """

    class Newer(View):
        name = "newer"
        schema_version = 1

        def entries(self, task: Task) -> tuple[ViewEntry, ...]:
            return ByState().entries(task)

    views = (*VIEWS, Newer())
    Rebuild(scene.client, scene.keys, holder="newer", views=views).run()
    append(scene.town.backend.store, [TaskNoted("to be projected")], task=scene.tasks["running"], expected=4)
    before = scene.dump()
    for name, verb in VERBS.items():
        with pytest.raises(NewerProjectionError, match=UPGRADE):
            verb(scene.town, scene.tasks["running"])
        assert scene.dump() == before, name
    with pytest.raises(NewerProjectionError):
        scene.town.upkeep.rebuild()
    with pytest.raises(NewerProjectionError):
        list(scene.town.upkeep.preview_rebuild())
    (finding,) = scene.findings()
    assert (finding.kind, finding.where) == ("checkpoint", scene.keys.checkpoint("task"))
    assert UPGRADE in finding.problem
    assert run_here(capsys, "doctor", "--town", str(scene.town.folder)).code == 1
    assert scene.dump() == before
    Projector(scene.client, scene.keys, views=views).catch_up()
    assert scene.client.smembers(scene.view("newer", "running")) == {scene.tasks["running"].encode()}


# --- a newer program meets an older schema -----------------------------------------------------------------------


def lower(projection: str) -> Callable[[Scene], object]:
    return lambda scene: scene.client.hset(scene.keys.checkpoint(projection), "schema_version", 0)


def drop(projection: str) -> Callable[[Scene], object]:
    return lambda scene: scene.client.delete(scene.keys.checkpoint(projection))


@pytest.mark.parametrize("change", [lower, drop])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_newer_program_says_rebuild_and_then_all_is_well(
    scene: Scene,
    projection: str,
    change: Callable[[str], Callable[[Scene], object]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A view that is new, or was written in an older form: reads are as before, from the ledger; the rest waits for a rebuild."""
    expected = {name: VERBS[name](scene.town, scene.tasks["running"]) for name in READS}
    change(projection)(scene)
    for name in [*scene.client.scan_iter(match=f"{scene.view(projection)}*")]:
        scene.client.delete(name)
    before = scene.dump()
    for name in VERBS.keys() - READS:
        with pytest.raises(OutdatedProjectionError, match="Build it anew"):
            VERBS[name](scene.town, scene.tasks["running"])
    assert scene.town.noted.outdated is None
    found = {name: VERBS[name](scene.town, scene.tasks["running"]) for name in READS}
    assert without_numbers(found) == without_numbers(expected)
    assert f"{scene.town.noted.outdated}".startswith(f"The projection {projection} has schema 0")
    assert scene.dump() == before
    ran = run_here(capsys, "rebuild", "--json", "--town", str(scene.town.folder))
    assert (ran.code, ran.json["has_reset_checkpoints"]) == (0, True)
    assert scene.findings() == ()
    assert_sound(scene.client, scene.keys)
    scene.town.note(scene.tasks["running"], "x")
    assert_sound(scene.client, scene.keys)


def test_rebuild_of_one_view_is_enough_where_only_it_is_older(scene: Scene) -> None:
    """The others stay as they are."""
    lower("tag")(scene)
    scene.town.upkeep.rebuild(view="tag")
    assert scene.findings() == ()
    assert_sound(scene.client, scene.keys)


def test_projections_of_a_newer_program_survive_a_refused_rebuild(scene: Scene) -> None:
    """One newer and one older: the newer one decides."""
    newer_projection("tag")(scene)
    lower("state")(scene)
    before = scene.dump()
    with pytest.raises(NewerProjectionError):
        scene.town.upkeep.rebuild()
    with pytest.raises(NewerProjectionError):
        list(scene.town.upkeep.preview_rebuild())
    assert scene.dump() == before
