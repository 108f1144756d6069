"""Events that no command can make: `verify` names each, only their task is concerned, and rebuild = live = fold (P5, P8, P10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import LedgerDamagedError, MisplacedEventError, TaskDamagedError
from projections import Projector, replay
from tests.support.builders import task_id
from tests.support.damaged import BAD_CREATIONS, BAD_EVENTS, BAD_IDS, Fields, add_by_hand, creation, fact
from tests.support.scene import Scene, assert_sound, opened_scene

NEW = task_id(50)
AFTER_9999_MS = 9_999_999_999_999_999


@pytest.fixture
def scene(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(client, server_socket, tmp_path) as scene:
        yield scene


def assert_only_it_is_damaged(scene: Scene, *positions: str) -> None:
    """The promise of this file, for events at `positions` of one task."""
    found = scene.findings()
    assert [(each.kind, each.where) for each in found if each.where in positions] == [
        ("event", position) for position in positions
    ]
    # One event each, whole lives, and everything at once give the same as the fold.
    scene.town.upkeep.catch_up()
    assert_sound(scene.client, scene.keys)
    assert {each.where for each in scene.findings()} == set(positions)
    before = scene.dump()
    report = scene.town.upkeep.rebuild()
    assert report.differences == 0
    assert scene.dump() == before
    for name in ("alpha", "beta"):
        task = scene.town.create(name, agent="worker-7").task.id
        assert scene.town.complete(task, result="Done").task.result == "Done"
    assert_sound(scene.client, scene.keys)


@pytest.mark.parametrize(("name", "fields"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_impossible_event_of_a_task_damages_that_task_alone(scene: Scene, name: str, fields: Fields) -> None:
    """It stays as it was before, says since when it is damaged, and takes no command; what comes later changes nothing."""
    task = scene.tasks[name]
    if fields["data"].get("parent_id") == "SELF":
        fields = fields | {"data": {"parent_id": task}}
    before = replay(scene.town.backend.store).get(task)
    position = add_by_hand(scene.client, scene.keys, task, **fields)
    add_by_hand(scene.client, scene.keys, task, **fact("noted", text="later"))
    if before is None:
        with pytest.raises(TaskDamagedError, match=position):
            scene.town.note(task, "x")
        return
    after = scene.town.task(task)
    assert after.damaged_at == position
    fields_of = [field for field in before.__struct_fields__ if field not in ("version", "at", "damaged_at", "number")]
    assert [getattr(after, field) for field in fields_of] == [getattr(before, field) for field in fields_of]
    assert after.version == before.version + 2
    with pytest.raises(TaskDamagedError, match=position) as caught:
        scene.town.note(task, "x")
    assert caught.value.flaw is not None
    assert_only_it_is_damaged(scene, position)


@pytest.mark.parametrize("fields", BAD_CREATIONS.values(), ids=BAD_CREATIONS)
def test_impossible_creation_makes_no_task(scene: Scene, fields: Fields) -> None:
    """There is no task, whatever comes later in the same batch or in another; its id can be asked for, and the answer says why."""
    position = add_by_hand(scene.client, scene.keys, NEW, **fields)
    if not fields["type"].endswith(("created", "adopted")):
        assert_only_it_is_damaged(scene, position)
        return
    add_by_hand(scene.client, scene.keys, NEW, **fact("noted", text="in the same batch"))
    scene.town.upkeep.catch_up()
    add_by_hand(scene.client, scene.keys, NEW, **fact("assigned", agent="bob"))
    scene.town.upkeep.catch_up()
    for ask in (scene.town.task, lambda task: scene.town.note(task, "x")):
        with pytest.raises(TaskDamagedError, match=position):
            ask(NEW)
    assert_only_it_is_damaged(scene, position)


@pytest.mark.parametrize("task", BAD_IDS, ids=ascii)
def test_id_that_no_task_has_makes_none(scene: Scene, task: str) -> None:
    """Nothing is looked up or written under such a name."""
    positions = [
        add_by_hand(scene.client, scene.keys, task, **fields) for fields in (creation(), fact("assigned", agent="bob"))
    ]
    scene.town.upkeep.catch_up()
    positions.append(add_by_hand(scene.client, scene.keys, task, **creation()))
    assert_only_it_is_damaged(scene, *positions)
    assert not scene.client.exists(scene.keys.task(task))


@pytest.mark.parametrize("ms", [AFTER_9999_MS, 253_402_300_800_000, 2**63])
def test_position_after_the_year_9999_stops_appends_and_no_reader(scene: Scene, ms: int) -> None:
    """The clock of the ledger is broken: later events would all be recorded there."""
    task = scene.tasks["running"]
    position = add_by_hand(scene.client, scene.keys, task, ms=ms)
    made = add_by_hand(scene.client, scene.keys, NEW, ms=ms, **creation())
    assert [each.where for each in scene.findings()] == [position, made]
    assert scene.town.task(task).damaged_at == position
    assert scene.town.task(scene.tasks["pending"]).damaged_at is None
    assert_sound(scene.client, scene.keys)
    scene.town.stats()
    assert scene.town.events.last(count=3)[-1].at == made
    with pytest.raises(LedgerDamagedError, match="which no append leaves"):
        scene.town.create("x")


def test_every_impossible_event_of_a_task_is_named(scene: Scene) -> None:
    """Each is judged by what the ones before it were meant to do, so that none hides the next and none is blamed for another."""
    task = scene.tasks["pending"]
    facts = [
        (fact("completed", result="x"), True),
        (fact("completed", result="again"), True),
        (fact("reopened"), False),
        (fact("assigned", agent=" bob"), True),
        (fact("started"), False),
        (fact("described", description="fine"), False),
        (creation(), True),
        (fact("completed"), False),
    ]
    positions = [(add_by_hand(scene.client, scene.keys, task, **fields), is_flawed) for fields, is_flawed in facts]
    assert [each.where for each in scene.findings()] == [position for position, is_flawed in positions if is_flawed]


def test_parents_in_a_circle_are_named_and_end_nobody(scene: Scene) -> None:
    """Each move is sound alone; who has all tasks sees that the last one closes a circle."""
    tasks = [scene.tasks[name] for name in ("pending", "assigned", "running")]
    first, second, third = tasks
    add_by_hand(scene.client, scene.keys, first, **fact("moved", parent_id=third))
    assert scene.findings() == ()
    position = add_by_hand(scene.client, scene.keys, third, **fact("moved", parent_id=second))
    assert [(each.where, "below itself" in each.problem) for each in scene.findings()] == [(position, True)]
    assert {branch.task.id for branch in scene.town.tree()} >= set(tasks)
    assert {branch.task.id for branch in scene.town.tree(first)} == set(tasks)
    assert scene.town.move(third, None).task.parent_id is None
    assert_sound(scene.client, scene.keys)


def test_lost_snapshot_is_still_told_from_a_task_that_never_was(scene: Scene) -> None:
    """A projector that goes on over damage does not go on over a snapshot that is gone (P10)."""
    scene.client.delete(scene.snapshot("running"))
    add_by_hand(scene.client, scene.keys, scene.tasks["running"], **fact("noted", text="x"))
    with pytest.raises(MisplacedEventError):
        Projector(scene.client, scene.keys).catch_up()


@pytest.mark.parametrize("batch_events_max", [1, 2, 3, 500])
def test_damage_projects_alike_in_batches_of_any_size(scene: Scene, batch_events_max: int) -> None:
    """One event each, or all together: the same keys as the fold's (P5)."""
    for fields in (*BAD_CREATIONS.values(), creation(), fact("assigned", agent="bob"), fact("completed")):
        add_by_hand(scene.client, scene.keys, NEW, **fields)
    for number, (name, fields) in enumerate(BAD_EVENTS.values()):
        add_by_hand(scene.client, scene.keys, scene.tasks[name], **fields)
        add_by_hand(scene.client, scene.keys, task_id(60 + number), **creation())
    Projector(scene.client, scene.keys, batch_events_max=batch_events_max).catch_up()
    assert_sound(scene.client, scene.keys)
    assert scene.town.upkeep.rebuild().differences == 0
