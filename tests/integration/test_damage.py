"""Damage to snapshots, views and checkpoints: `verify` names each with its place, `rebuild` heals it, nothing else changes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from ledger import LedgerDamagedError, LinkKind, new_command_id
from projections import VIEWS, CheckpointMismatchError, Lease, Projector, UnknownProjectionError, new_holder
from projections.checking.comparison import Comparison
from projections.rebuilding import rebuild as rebuild_module
from projections.rebuilding.overwrite import Overwrite
from tests.support.builders import task_id
from tests.support.scene import Scene, assert_sound, edit_json, nth_position, opened_scene, to_set_aside
from tests.support.tt import run_here
from town import Town, problem_of

Damage = Callable[[Scene], str]
"""Does one damage, and returns the key that `verify` is to name."""

UNKNOWN = task_id(99)
PROJECTIONS = ("task", *(view.name for view in VIEWS))

SETS = [
    ("state", "running"),
    ("state", "cancelled"),
    ("agent", "worker-1"),
    ("tag", "bug"),
    ("tag", "two words"),
    ("parent", "pending"),
    ("backlog", None),
]
SORTED_SETS = [("created", None), ("ids", None)]
HASHES = [("counts", "state"), ("counts", "agent"), ("throughput", "today")]


@pytest.fixture
def scene(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(client, server_socket, tmp_path) as scene:
        yield scene


def assert_named_and_healed(scene: Scene, damage: Damage, capsys: pytest.CaptureFixture[str]) -> None:
    """The promise of this file, for one damage."""
    assert scene.findings() == ()
    where = damage(scene)
    foreign, damaged = scene.dump_foreign(), scene.dump()
    kept = to_set_aside(scene.client, scene.keys)

    found = scene.findings()
    assert where in [finding.where for finding in found]
    ran = run_here(capsys, "verify", "--json", "--town", str(scene.town.folder))
    assert ran.code == 5
    assert [(each["kind"], each["where"], each["problem"]) for each in ran.json["findings"]] == [
        (each.kind, each.where, problem_of(each)) for each in found
    ]
    preview = list(scene.town.upkeep.preview_rebuild())
    assert scene.dump() == damaged

    report = scene.town.upkeep.rebuild()
    assert report.differences >= len(preview)
    assert report.set_aside == len(kept)
    assert scene.findings() == ()
    assert_sound(scene.client, scene.keys, set_aside=kept)
    assert scene.dump_foreign() == foreign
    assert scene.town.complete(scene.tasks["running"], result="Healed").task.result == "Healed"
    assert_sound(scene.client, scene.keys, set_aside=kept)


# --- snapshots ---------------------------------------------------------------------------------------------------

FIELDS: dict[str, Any] = {
    "id": task_id(98),
    "description": "Something else",
    "state": "pending",
    "assigned_to": "worker-9",
    "created_at": "2020-01-01T00:00:00.000Z",
    "updated_at": "2020-01-01T00:00:00.000Z",
    "started_at": None,
    "completed_at": "2020-01-01T00:00:00.000Z",
    "result": "Done already",
    "parent_id": task_id(98),
    "tags": ["urgent"],
    "alias": "bd-9",
    "version": 77,
    "position": "5-1",
}


@pytest.mark.parametrize("field", FIELDS)
def test_snapshot_edited_by_hand_is_named_and_healed(
    scene: Scene, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever field it is, `verify` says what it is and what it should be."""

    def edit(scene: Scene) -> str:
        edit_json(scene.client, scene.snapshot("running"), **{field: FIELDS[field]})
        found = [each for each in scene.findings() if each.where == scene.snapshot("running")]
        assert [each.kind for each in found] == ["snapshot"]
        assert f"{field} is {FIELDS[field]}, and should be" in found[0].problem
        return scene.snapshot("running")

    assert_named_and_healed(scene, edit, capsys)


def rewrite(name: str, change: Callable[[Any, str], object]) -> Damage:
    """Damage to the snapshot of a task."""

    def damage(scene: Scene) -> str:
        change(scene.client, scene.snapshot(name))
        return scene.snapshot(name)

    return damage


def replace_by(write: Callable[[Any, str], object]) -> Callable[[Any, str], object]:
    """Delete a key and write another in its place."""
    return lambda client, key: (client.delete(key), write(client, key))


SNAPSHOTS: dict[str, Damage] = {
    "deleted": rewrite("running", lambda client, key: client.delete(key)),
    "deleted, finished": rewrite("completed", lambda client, key: client.delete(key)),
    "empty": rewrite("running", lambda client, key: client.set(key, "")),
    "no JSON": rewrite("running", lambda client, key: client.set(key, "by hand")),
    "no text": rewrite("running", lambda client, key: client.set(key, b"\xff\xfe\x00")),
    "a list": rewrite("running", lambda client, key: client.set(key, "[]")),
    "no fields": rewrite("running", lambda client, key: client.set(key, "{}")),
    "other spaces": rewrite(
        "running",
        lambda client, key: client.set(key, json.dumps(json.loads(client.get(key) or b""), indent=1)),
    ),
    "of a later event": rewrite(
        "running", lambda client, key: edit_json(client, key, version=9, position="9" * 14 + "-99")
    ),
    "a hash": rewrite("running", replace_by(lambda client, key: client.hset(key, "field", "value"))),
    "a list key": rewrite("running", replace_by(lambda client, key: client.rpush(key, "value"))),
    "a stream": rewrite("running", replace_by(lambda client, key: client.xadd(key, {"a": "b"}))),
    "of a removed task": rewrite("removed", lambda client, key: client.set(key, "{}")),
    "of a removed task, a set": rewrite("removed", lambda client, key: client.sadd(key, "x")),
}


@pytest.mark.parametrize("damage", SNAPSHOTS.values(), ids=SNAPSHOTS)
def test_damaged_snapshot_is_named_and_healed(scene: Scene, damage: Damage, capsys: pytest.CaptureFixture[str]) -> None:
    """Deleted, of another type, not JSON, or of a task that is gone: its key is named."""
    assert_named_and_healed(scene, damage, capsys)


def put_at(key: Callable[[Scene], str], write: Callable[[Any, str], object]) -> Damage:
    """Damage at a key that the scene knows."""

    def damage(scene: Scene) -> str:
        write(scene.client, key(scene))
        return key(scene)

    return damage


INVENTED: dict[str, Damage] = {
    "snapshot": put_at(lambda scene: scene.keys.task(UNKNOWN), lambda client, key: client.set(key, "{}")),
    "snapshot, hash": put_at(lambda scene: scene.keys.task(UNKNOWN), lambda client, key: client.hset(key, "a", "b")),
    "snapshot, odd name": put_at(lambda scene: scene.keys.task("[*?]"), lambda client, key: client.set(key, "{}")),
    "state": put_at(lambda scene: scene.view("state", "asleep"), lambda client, key: client.sadd(key, UNKNOWN)),
    "tag": put_at(lambda scene: scene.view("tag", "nobody's"), lambda client, key: client.sadd(key, UNKNOWN)),
    "agent, string": put_at(lambda scene: scene.view("agent", "x:y"), lambda client, key: client.set(key, "x")),
    "state, bare": put_at(lambda scene: scene.view("state"), lambda client, key: client.sadd(key, UNKNOWN)),
    "backlog, part": put_at(lambda scene: scene.view("backlog", "x"), lambda client, key: client.sadd(key, UNKNOWN)),
    "created, part": put_at(lambda scene: scene.view("created", "x"), lambda client, key: client.zadd(key, {"x": 1})),
    "counts, part": put_at(lambda scene: scene.view("counts", "x"), lambda client, key: client.hset(key, "x", 1)),
    "counts, bare": put_at(lambda scene: scene.view("counts"), lambda client, key: client.hset(key, "x", 1)),
    "throughput": put_at(
        lambda scene: scene.view("throughput", "1999-12-31"), lambda client, key: client.hset(key, "created:ada", 1)
    ),
    "unknown view": put_at(lambda scene: scene.view("mine", "x"), lambda client, key: client.sadd(key, "x")),
    "unknown checkpoint": put_at(
        lambda scene: scene.keys.checkpoint("mine"), lambda client, key: client.hset(key, "position", "1-1")
    ),
}


@pytest.mark.parametrize("damage", INVENTED.values(), ids=INVENTED)
def test_invented_key_is_named_and_dropped(scene: Scene, damage: Damage, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot, a part of a view or a whole view that no event ever made."""
    assert_named_and_healed(scene, damage, capsys)


def test_invented_key_that_is_no_text_is_named_and_dropped(scene: Scene) -> None:
    """A key may be any bytes."""
    scene.client.set(scene.keys.task("").encode() + b"\xff\xfe", "{}")
    scene.client.sadd(scene.view("tag", "").encode() + b"\xff\xfe", "x")
    kept = to_set_aside(scene.client, scene.keys)
    assert [finding.kind for finding in scene.findings()] == ["key", "key"]
    scene.town.upkeep.rebuild()
    assert scene.findings() == ()
    assert len(kept) == 1
    assert_sound(scene.client, scene.keys, set_aside=kept)


# --- views -------------------------------------------------------------------------------------------------------


def in_view(view: tuple[str, str | None], change: Callable[[Scene, str], object]) -> Damage:
    def damage(scene: Scene) -> str:
        name, part = view
        if part == "today":
            part = scene.town.end().time.date().isoformat()
        key = scene.view(name, part)
        assert scene.client.exists(key), key
        change(scene, key)
        return key

    return damage


def members(scene: Scene, key: str) -> list[bytes]:
    found: Any = scene.client.smembers(key) if scene.client.type(key) == b"set" else scene.client.zrange(key, 0, -1)
    return sorted(found)


def outsider(scene: Scene, key: str) -> str:
    """A task that is there, and not in the set."""
    return next(
        task for name, task in scene.tasks.items() if name != "removed" and task.encode() not in members(scene, key)
    )


def exchange(scene: Scene, key: str) -> None:
    """Another task in the place of one: the set is as large as it should be."""
    first = members(scene, key)[0]
    scene.client.sadd(key, outsider(scene, key))
    scene.client.srem(key, first)


IN_SETS: dict[str, Callable[[Scene, str], object]] = {
    "entry removed": lambda scene, key: scene.client.srem(key, members(scene, key)[0]),
    "entry added": lambda scene, key: scene.client.sadd(key, outsider(scene, key)),
    "one for another": exchange,
    "unknown added": lambda scene, key: scene.client.sadd(key, UNKNOWN),
    "removed task added": lambda scene, key: scene.client.sadd(key, scene.tasks["removed"]),
    "no text added": lambda scene, key: scene.client.sadd(key, b"\xff\xfe"),
    "key deleted": lambda scene, key: scene.client.delete(key),
    "a string": lambda scene, key: scene.client.set(key, "by hand"),
    "a sorted set": lambda scene, key: (scene.client.delete(key), scene.client.zadd(key, {UNKNOWN: 1})),
}
IN_SORTED_SETS: dict[str, Callable[[Scene, str], object]] = {
    "entry removed": lambda scene, key: scene.client.zrem(key, members(scene, key)[0]),
    "wrong score": lambda scene, key: scene.client.zadd(key, {members(scene, key)[2]: 77}),
    "score near": lambda scene, key: scene.client.zadd(key, {members(scene, key)[2]: 0.5}),
    "score infinite": lambda scene, key: scene.client.zadd(key, {members(scene, key)[2]: "inf"}),
    "unknown added": lambda scene, key: scene.client.zadd(key, {UNKNOWN: 0}),
    "unknown added, infinite": lambda scene, key: scene.client.zadd(key, {UNKNOWN: "inf"}),
    "removed task added": lambda scene, key: scene.client.zadd(key, {scene.tasks["removed"]: 2}),
    "no text added": lambda scene, key: scene.client.zadd(key, {b"\xff\xfe": 1}),
    "key deleted": lambda scene, key: scene.client.delete(key),
    "a string": lambda scene, key: scene.client.set(key, "by hand"),
    "a set": lambda scene, key: (scene.client.delete(key), scene.client.sadd(key, UNKNOWN)),
}


def first_field(scene: Scene, key: str) -> bytes:
    fields: Any = scene.client.hkeys(key)
    return cast("bytes", min(fields))


IN_HASHES: dict[str, Callable[[Scene, str], object]] = {
    "count changed": lambda scene, key: scene.client.hincrby(key, first_field(scene, key).decode(), 3),
    "count negative": lambda scene, key: scene.client.hset(key, first_field(scene, key), -1),
    "count zero": lambda scene, key: scene.client.hset(key, first_field(scene, key), 0),
    "field removed": lambda scene, key: scene.client.hdel(key, first_field(scene, key).decode()),
    "field added": lambda scene, key: scene.client.hset(key, "asleep", 2),
    "field added, zero": lambda scene, key: scene.client.hset(key, "asleep", 0),
    "field added, no text": lambda scene, key: scene.client.hset(key, b"\xff", 1),
    "no number": lambda scene, key: scene.client.hset(key, first_field(scene, key), "many"),
    "a number for Python only": lambda scene, key: scene.client.hset(
        key,
        first_field(scene, key),
        f"0{int(scene.client.hget(key, first_field(scene, key).decode()) or 0)}",
    ),
    "number too large": lambda scene, key: scene.client.hset(key, first_field(scene, key), "9" * 30),
    "key deleted": lambda scene, key: scene.client.delete(key),
    "a string": lambda scene, key: scene.client.set(key, "by hand"),
    "a set": lambda scene, key: (scene.client.delete(key), scene.client.sadd(key, UNKNOWN)),
}

VIEW_DAMAGES = {
    f"{':'.join(filter(None, view))} {name}": in_view(view, change)
    for views, changes in ((SETS, IN_SETS), (SORTED_SETS, IN_SORTED_SETS), (HASHES, IN_HASHES))
    for view in views
    for name, change in changes.items()
}


@pytest.mark.parametrize("damage", VIEW_DAMAGES.values(), ids=VIEW_DAMAGES)
def test_damaged_view_is_named_and_healed(scene: Scene, damage: Damage, capsys: pytest.CaptureFixture[str]) -> None:
    """In every kind of view: an entry too few or too many, a wrong score or count, the key gone or of another type."""
    assert_named_and_healed(scene, damage, capsys)


# --- checkpoints -------------------------------------------------------------------------------------------------


def set_checkpoints(position: Callable[[Scene], str], *names: str) -> Damage:
    def damage(scene: Scene) -> str:
        place = position(scene)
        for name in names:
            scene.client.hset(scene.keys.checkpoint(name), "position", place)
        return scene.keys.checkpoint(names[0])

    return damage


def event(number: int) -> Callable[[Scene], str]:
    return lambda scene: nth_position(scene.town, number)


def no_event(scene: Scene) -> str:
    """A position between two events, at no event."""
    position = nth_position(scene.town, 7)
    return f"{position.ms + 1}-{position.seq}" if scene.town.backend.store.position_of(8) else ""


def ahead(scene: Scene) -> str:
    end = scene.town.end()
    return f"{end.ms + 5}-{end.seq + 5}"


def change_checkpoint(name: str, change: Callable[[Any, str], object]) -> Damage:
    return put_at(lambda scene: scene.keys.checkpoint(name), change)


def delete_all(scene: Scene) -> str:
    for name in PROJECTIONS:
        scene.client.delete(scene.keys.checkpoint(name))
    return scene.keys.checkpoint("task")


CHECKPOINTS: dict[str, Damage] = {
    "a view's set back": set_checkpoints(event(5), "tag"),
    "a follower's set back": set_checkpoints(event(5), "throughput"),
    "the snapshots' set back": set_checkpoints(event(5), "task"),
    "all set back by one": set_checkpoints(
        lambda scene: nth_position(scene.town, scene.town.end().seq - 1), *PROJECTIONS
    ),
    "all set back": set_checkpoints(event(5), *PROJECTIONS),
    "all set back to the first": set_checkpoints(event(1), *PROJECTIONS),
    "all set back to the beginning": set_checkpoints(lambda _: "0-0", *PROJECTIONS),
    "all set back before the beginning": set_checkpoints(lambda _: "5-0", *PROJECTIONS),
    "all set to no event": set_checkpoints(no_event, *PROJECTIONS),
    "a view's set ahead": set_checkpoints(ahead, "tag"),
    "the snapshots' set ahead": set_checkpoints(ahead, "task"),
    "all set ahead": set_checkpoints(ahead, *PROJECTIONS),
    "a view's deleted": change_checkpoint("tag", lambda client, key: client.delete(key)),
    "the snapshots' deleted": change_checkpoint("task", lambda client, key: client.delete(key)),
    "all deleted": delete_all,
    "a view's no position": change_checkpoint("tag", lambda client, key: client.hset(key, "position", "here")),
    "the snapshots' no position": change_checkpoint("task", lambda client, key: client.hset(key, "position", "here")),
    "a view's without position": change_checkpoint("tag", lambda client, key: client.hdel(key, "position")),
    "schema no number": change_checkpoint("tag", lambda client, key: client.hset(key, "schema_version", "new")),
    "generation no number": change_checkpoint("tag", lambda client, key: client.hset(key, "generation", "new")),
    "a string": change_checkpoint("tag", replace_by(lambda client, key: client.set(key, "x"))),
    "the snapshots' a string": change_checkpoint("task", replace_by(lambda client, key: client.set(key, "x"))),
}


@pytest.mark.parametrize("damage", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_damaged_checkpoint_is_named_and_healed(
    scene: Scene, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    """One or all, set back or ahead, deleted, or no checkpoint at all."""
    assert_named_and_healed(scene, damage, capsys)


# --- heads -------------------------------------------------------------------------------------------------------

HEADS: dict[str, Callable[[Scene], object]] = {
    "version altered": lambda scene: scene.client.hset(
        scene.keys.heads, scene.tasks["pending"], f"9:{nth_position(scene.town, 1)}"
    ),
    "position altered": lambda scene: scene.client.hset(
        scene.keys.heads, scene.tasks["pending"], f"1:{nth_position(scene.town, 2)}"
    ),
    "set ahead": lambda scene: scene.client.hset(scene.keys.heads, scene.tasks["pending"], f"2:{ahead(scene)}"),
    "deleted": lambda scene: scene.client.hdel(scene.keys.heads, scene.tasks["pending"]),
    "invented": lambda scene: scene.client.hset(scene.keys.heads, UNKNOWN, f"1:{nth_position(scene.town, 2)}"),
    "invented, ahead": lambda scene: scene.client.hset(scene.keys.heads, UNKNOWN, f"1:{ahead(scene)}"),
    "no head": lambda scene: scene.client.hset(scene.keys.heads, scene.tasks["pending"], "by hand"),
    "empty": lambda scene: scene.client.hset(scene.keys.heads, scene.tasks["pending"], ""),
    "a task that is no text": lambda scene: scene.client.hset(scene.keys.heads, b"\xff", "1:1-1"),
    "all deleted": lambda scene: scene.client.delete(scene.keys.heads),
    "a string": lambda scene: scene.client.set(scene.keys.heads, "by hand"),
}


@pytest.mark.parametrize("damage", HEADS.values(), ids=HEADS)
def test_damaged_head_is_named_and_left_alone(
    scene: Scene, damage: Callable[[Scene], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Heads are the append script's: `verify` names the task, and a rebuild neither heals nor worsens it."""
    damage(scene)
    heads = scene.client.dump(scene.keys.heads)
    found = scene.findings()
    assert {finding.kind for finding in found} == {"head"}
    ran = run_here(capsys, "verify", "--json", "--town", str(scene.town.folder))
    assert ran.code == 5
    assert len(ran.json["findings"]) == len(found)
    scene.town.upkeep.rebuild()
    assert scene.client.dump(scene.keys.heads) == heads
    assert scene.findings() == found


@pytest.mark.parametrize("score", ["inf", "-inf", "-5", "9e99"])
def test_score_that_is_no_time_ends_no_command(scene: Scene, score: str) -> None:
    """A task with it waits for a time that never comes, until a rebuild puts it right; commands ended with 70."""
    town, later = scene.town, scene.keys.view("ready", "later")
    one, two = (town.create(name, alias=name).task.id for name in ("one", "two"))
    scene.client.zadd(later, {one: score})
    town.backend.live.next_begin_in_ms()
    assert town.link("two", ["one"]).task.needs == (one,)
    assert town.link("one", ["two"], LinkKind.RELATES).task.relates == (two,)
    assert town.waiting().for_time in (0, 1)
    scene.client.zadd(later, {one: score})
    assert later in [finding.where for finding in scene.findings()]
    assert town.upkeep.rebuild().differences == 1


def test_unknown_view_is_dropped_beside_a_writer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody appends and projects whenever the rebuild looks through keys: it ends all the same, and the key is gone.

    The bug looked like this: asked a thousand times at a checkpoint that had moved on, it gave up.
    """
    scene.client.set(scene.keys.view("gone"), "x")
    scan = Comparison._scan
    with Town.open(scene.town.folder) as writer:

        def scan_beside_a_writer(comparison: Comparison, pattern: str) -> Iterator[str]:
            writer.note(scene.tasks["running"], f"while {pattern} is looked through")
            yield from scan(comparison, pattern)

        monkeypatch.setattr(Comparison, "_scan", scan_beside_a_writer)
        assert scene.town.upkeep.rebuild().differences == 1
    monkeypatch.undo()
    assert not scene.client.exists(scene.keys.view("gone"))
    assert scene.findings() == ()


def test_rebuild_counts_what_it_put_right_beside_a_key_of_another_type(scene: Scene) -> None:
    """Several damages at once: as many differences as the preview told."""
    scene.client.delete(scene.view("backlog"))
    scene.client.set(scene.view("backlog"), "by hand")
    scene.client.delete(scene.snapshot("failed"))
    scene.client.srem(scene.view("state", "pending"), scene.tasks["pending"])
    previewed = list(scene.town.upkeep.preview_rebuild())
    assert scene.town.upkeep.rebuild().differences == len(previewed)
    assert scene.findings() == ()


def test_record_written_while_a_rebuild_looks_is_not_written_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older program writes where a snapshot is missing, between the look and the transaction: its record is set aside.

    The bug looked like this: the snapshot took its place, and there was no copy.
    """
    place = scene.snapshot("failed")
    scene.client.delete(place)
    send = Overwrite._send
    written: list[str] = []

    def send_after_a_record(overwrite: Overwrite, commands: Sequence[Any], **more: Any) -> None:
        if commands[0] == ("MULTI",) and not written:
            written.append("once")
            scene.client.set(place, "a record")
        send(overwrite, commands, **more)

    monkeypatch.setattr(Overwrite, "_send", send_after_a_record)
    assert scene.town.upkeep.rebuild().set_aside == 1
    assert written == ["once"]
    kept = [scene.client.get(name) for name in scene.client.scan_iter(match=f"{scene.keys.prefix}:legacy:*")]
    assert kept == [b"a record"]
    assert scene.findings() == ()


def test_changed_head_leaves_the_advice_on_snapshots(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A head is not a lost event: `tt verify` says what each finding needs."""
    scene.client.hset(scene.keys.heads, scene.tasks["pending"], f"9:{nth_position(scene.town, 1)}")
    scene.client.delete(scene.snapshot("failed"))
    said = run_here(capsys, "verify", "--town", str(scene.town.folder)).err
    assert "`tt rebuild` puts" in said
    assert "Heads can only be restored from a backup" in said
    assert "--accept-loss" not in said


def test_lease_of_a_process_that_is_gone_is_nobodys(scene: Scene) -> None:
    """Whoever was killed on this machine keeps nobody out; a process that runs, or of another machine, does."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    key = scene.keys.lease("rebuild")
    lease = Lease(scene.client, scene.keys, holder=new_holder(), name="rebuild")
    for holder, is_there in [
        (f"{socket.gethostname()}:{ended.pid}:x", False),
        (f"{socket.gethostname()}:{os.getppid()}:x", True),
        (f"elsewhere:{ended.pid}:x", True),
        (new_command_id(), True),
    ]:
        scene.client.set(key, holder, px=60_000)
        assert lease.is_taken() == is_there, holder
        assert lease.take() != is_there, holder
        scene.client.delete(key)


def test_dry_run_takes_no_lease(scene: Scene) -> None:
    """A preview is nobody's work: commands do not wait for it, and it keeps no rebuild out.

    The bug looked like this: after `--dry-run` every command waited 0.1 s for two seconds.
    """
    list(scene.town.upkeep.preview_rebuild())
    assert not scene.client.exists(scene.keys.lease("projector"), scene.keys.lease("rebuild"))


def test_lease_without_a_time_out_is_nobodys(scene: Scene) -> None:
    """A key that something else wrote in the place of a lease keeps nobody out for ever."""
    scene.client.set(scene.keys.lease("rebuild"), "by hand")
    scene.client.set(scene.keys.lease("projector"), "by hand")
    assert scene.town.upkeep.rebuild().differences == 0
    assert not scene.client.exists(scene.keys.lease("rebuild"))


def test_rebuild_beside_another_one_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is enough; that is no damage."""
    monkeypatch.setattr(rebuild_module, "LEASE_WAIT_SECONDS_MAX", 0.05)
    scene.client.set(scene.keys.lease("rebuild"), "somebody", px=60_000)
    ran = run_here(capsys, "rebuild", "--town", str(scene.town.folder))
    assert ran.code == 1
    assert "Another rebuild of this town is at work" in ran.err
    scene.client.delete(scene.keys.lease("rebuild"))


def test_verify_beside_a_rebuild_finds_nothing(scene: Scene) -> None:
    """That somebody rebuilds a sound town, or did and died, is no damage."""
    scene.client.hset(scene.keys.checkpoint("task"), "rebuild", "online")
    scene.client.set(scene.keys.lease("rebuild"), "somebody", px=60_000)
    assert scene.findings() == ()
    scene.client.delete(scene.keys.lease("rebuild"))


# --- dry run and one view ----------------------------------------------------------------------------------------


def test_dry_run_names_fields_and_where_they_parted(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot that was right two events ago: each field is shown, and the position of that event."""
    key = scene.snapshot("running")
    task = scene.tasks["running"]
    positions = [step.event.position for step in scene.town.history(task)]
    old = scene.town.replay(positions[1]).tasks[task]
    edit_json(scene.client, key, state="assigned", started_at=None, version=old.version, position=str(positions[1]))
    scene.client.srem(scene.view("tag", "bug"), task)
    before = scene.dump()
    ran = run_here(capsys, "rebuild", "--dry-run", "--json", "--town", str(scene.town.folder))
    assert ran.code == 0
    assert scene.dump() == before
    by_key = {each["key"]: each for each in ran.json["differences"]}
    assert by_key.keys() == {key, scene.view("tag", "bug")}
    assert by_key[key]["parted_after"] == positions[1]
    assert {(name, expected, actual) for name, expected, actual in by_key[key]["fields"]} >= {
        ("state", "running", "assigned"),
        ("version", 4, 2),
        ("position", positions[3], positions[1]),
    }
    assert by_key[scene.view("tag", "bug")]["parted_after"] == positions[-1]
    shown = run_here(capsys, "rebuild", "--dry-run", "--town", str(scene.town.folder))
    assert f"{key}  (right until {positions[1]})" in shown.out
    assert "state: assigned → running" in shown.out
    assert scene.dump() == before


def test_dry_run_shows_checkpoints_that_were_moved(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """What a rebuild would set them to; nothing is written.

    The bug looked like this: "A rebuild would change nothing.", and then it set all of them.
    """
    for name in PROJECTIONS:
        scene.client.hset(scene.keys.checkpoint(name), "position", nth_position(scene.town, 2))
    before = scene.dump()
    ran = run_here(capsys, "rebuild", "--dry-run", "--json", "--town", str(scene.town.folder))
    found = [each for each in ran.json["differences"] if each["kind"] == "checkpoint"]
    assert {each["key"] for each in found} == {scene.keys.checkpoint(name) for name in PROJECTIONS}
    assert found[0]["fields"] == [["position", scene.town.end(), nth_position(scene.town, 2)]]
    assert scene.dump() == before


def test_dry_run_of_a_sound_town_shows_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so."""
    before = scene.dump()
    assert "change nothing" in run_here(capsys, "rebuild", "--dry-run", "--town", str(scene.town.folder)).out
    assert scene.dump() == before


def test_rebuild_of_one_view_heals_that_view_only(scene: Scene) -> None:
    """Snapshots and other views stay as they are, damaged or not."""
    tag, state = scene.view("tag", "bug"), scene.view("state", "running")
    scene.client.srem(tag, scene.tasks["running"])
    scene.client.srem(state, scene.tasks["running"])
    edit_json(scene.client, scene.snapshot("completed"), result="by hand")
    scene.client.set(scene.keys.task(UNKNOWN), "{}")
    scene.client.sadd(scene.view("tag", "nobody's"), "x")
    damaged = {
        name: content for name, content in scene.dump().items() if not name.startswith(scene.view("tag").encode())
    }
    report = scene.town.upkeep.rebuild(view="tag")
    assert report.differences == 2
    after = {name: content for name, content in scene.dump().items() if not name.startswith(scene.view("tag").encode())}
    assert after == damaged
    places = {finding.where for finding in scene.findings()}
    assert places == {state, scene.snapshot("completed"), scene.keys.task(UNKNOWN)}


def test_rebuild_of_an_unknown_view_is_refused(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written, and the views there are are named."""
    before = scene.dump()
    with pytest.raises(UnknownProjectionError, match="throughput"):
        scene.town.upkeep.rebuild(view="mine")
    ran = run_here(capsys, "rebuild", "--view", "mine", "--town", str(scene.town.folder))
    assert (ran.code, scene.dump()) == (1, before)


@pytest.mark.parametrize("number", [1, 5])
def test_rebuild_of_one_view_refuses_checkpoints_that_were_set_back(scene: Scene, number: int) -> None:
    """One view at the place where all were set back would part from the rest: the whole is to be rebuilt."""
    set_checkpoints(event(number), *PROJECTIONS)(scene)
    before = scene.dump()
    with pytest.raises(LedgerDamagedError):
        scene.town.upkeep.rebuild(view="tag")
    assert scene.dump() == before
    scene.town.upkeep.rebuild()
    assert_sound(scene.client, scene.keys)


def test_rebuild_of_one_view_refuses_others_that_are_out_of_step(scene: Scene) -> None:
    """It names the other one, and writes nothing."""
    set_checkpoints(event(5), "state")(scene)
    before = scene.dump()
    with pytest.raises(CheckpointMismatchError, match="state"):
        scene.town.upkeep.rebuild(view="tag")
    assert scene.dump() == before


@pytest.mark.parametrize("view", [name for name in PROJECTIONS if name != "task"])
def test_rebuild_of_one_view_puts_its_own_checkpoint_right(scene: Scene, view: str) -> None:
    """Its checkpoint set back and all its keys gone: that view alone is built again."""
    set_checkpoints(event(3), view)(scene)
    for name in [*scene.client.scan_iter(match=f"{scene.view(view)}*")]:
        scene.client.delete(name)
    scene.town.upkeep.rebuild(view=view)
    assert scene.findings() == ()
    assert_sound(scene.client, scene.keys)


# --- while others work -------------------------------------------------------------------------------------------


def test_verify_finds_nothing_where_a_projector_commits_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends and commits between any two of its requests are no damage."""
    projector = Projector(scene.client, scene.keys)
    execute = type(scene.town.connection.client).execute_command
    pipeline = cast("Callable[..., Any]", redis.client.Pipeline.execute)
    is_busy = False
    requests, pace = 0, 2

    def append_and_project() -> None:
        nonlocal is_busy, requests
        if is_busy:
            return
        requests += 1
        # Every time would be faster than anybody can follow.
        if requests % pace == 0:
            is_busy = True
            scene.town.note(scene.tasks["running"], "meanwhile")
            if requests % 10 == 0:
                scene.town.create("Meanwhile", agent="worker-3", tags=["new"])
            projector.catch_up()
            is_busy = False

    def execute_after(self: Any, *arguments: Any, **options: Any) -> Any:
        append_and_project()
        return execute(self, *arguments, **options)  # type: ignore[no-untyped-call]

    def pipeline_after(self: Any, raise_on_error: bool = True) -> Any:
        append_and_project()
        return pipeline(self, raise_on_error)

    monkeypatch.setattr(redis.Redis, "execute_command", execute_after)
    monkeypatch.setattr(redis.client.Pipeline, "execute", pipeline_after)
    for each in (2, 3, 5):
        pace = each
        assert scene.town.upkeep.verify().findings == ()


def test_count_that_is_no_number_stops_the_commit_before_its_first_write(scene: Scene) -> None:
    """A script does not roll back: snapshots without their checkpoint would be more than the ledger up to it (P5)."""
    scene.client.hset(scene.view("counts", "state"), "running", "many")
    position = scene.town.backend.store.end()
    before = scene.dump()
    with pytest.raises(LedgerDamagedError):
        scene.town.complete(scene.tasks["running"], result="x")
    assert scene.town.backend.store.end() > position
    ledger = (scene.keys.ledger.encode(), scene.keys.heads.encode())
    after = scene.dump()
    assert {name for name in before if before[name] != after[name]} == set(ledger)


@pytest.mark.parametrize("is_hash", [False, True])
def test_task_from_before_the_ledger_is_named_and_left_to_a_migration(scene: Scene, is_hash: bool) -> None:
    """It is nobody's snapshot, and no rebuild deletes it: `tt migrate` adopts it."""
    key = scene.keys.task(task_id(99))
    fields = {"id": task_id(99), "description": "Old", "state": "pending"}
    if is_hash:
        scene.client.hset(key, mapping=fields)
    else:
        scene.client.set(key, json.dumps(fields))
    assert [(finding.kind, finding.where) for finding in scene.findings()] == [("old task", key)]
    before = scene.dump()
    assert list(scene.town.upkeep.preview_rebuild()) == []
    assert scene.town.upkeep.rebuild().differences == 0
    assert scene.dump() == before
