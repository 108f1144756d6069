"""The snapshot's JSON: a documented key that any Redis client reads."""

from __future__ import annotations

import json

import msgspec
import pytest

from ledger import Position, State
from projections import SnapshotDamagedError, encode_snapshot, snapshot_of
from projections.snapshots import decode_snapshot, is_snapshot_of
from tests.support.builders import START_MS, TASK, a_task, a_task_in, task_id

FIELDS = [
    "id",
    "description",
    "state",
    "assigned_to",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "result",
    "parent_id",
    "tags",
    "alias",
    "version",
    "position",
]
KEY = f"tt:harbour:task:{TASK}"


def test_snapshot_of_a_new_task_has_every_field_and_nulls() -> None:
    """All fields are there, in their order, null where empty."""
    assert encode_snapshot(a_task()).decode() == (
        f'{{"id":"{TASK}","description":"Implement user authentication","state":"pending","assigned_to":null,'
        '"created_at":"2026-11-23T01:48:23.973Z","updated_at":"2026-11-23T01:48:23.973Z","started_at":null,'
        '"completed_at":null,"result":null,"parent_id":null,"tags":[],"alias":null,"version":1,'
        '"position":"1795398503973-1"}'
    )


def test_snapshot_of_a_finished_task_has_every_value() -> None:
    """Each field holds what its name says; times are RFC 3339, UTC, milliseconds, Z."""
    task = a_task_in(
        State.FAILED,
        description='Say "hi" to Zoë 🔑',
        parent_id=task_id(7),
        tags=("a", "b"),
        alias="bd-1",
        version=4,
        updated_at_ms=START_MS + 2_027,
        at=str(Position.of(ms=START_MS + 2_027, seq=9)),
        created_number=3,
    )
    shown = json.loads(encode_snapshot(task))
    assert list(shown) == [*FIELDS, "created_number"]
    assert shown == {
        "id": TASK,
        "description": 'Say "hi" to Zoë 🔑',
        "state": "failed",
        "assigned_to": "worker-1",
        "created_at": "2026-11-23T01:48:23.973Z",
        "updated_at": "2026-11-23T01:48:26.000Z",
        "started_at": "2026-11-23T01:48:24.973Z",
        "completed_at": "2026-11-23T01:48:25.973Z",
        "result": "failed",
        "parent_id": task_id(7),
        "tags": ["a", "b"],
        "alias": "bd-1",
        "version": 4,
        "position": "1795398506000-9",
        "created_number": 3,
    }


@pytest.mark.parametrize("state", State)
def test_snapshot_decodes_to_the_task(state: State) -> None:
    """A snapshot holds all of a task."""
    task = a_task_in(state, tags=("a", "b"), parent_id=task_id(7), alias="bd-1", created_number=7)
    assert decode_snapshot(encode_snapshot(task), key=KEY) == task


def test_snapshot_of_an_older_program_has_no_number() -> None:
    """It is as good as one that has it, its number is unknown, and a wrong number is a difference."""
    task = a_task(created_number=7)
    stored = encode_snapshot(task)
    older = encode_snapshot(a_task())
    assert decode_snapshot(older, key=KEY).created_number is None
    assert is_snapshot_of(stored, task)
    assert is_snapshot_of(older, task)
    assert not is_snapshot_of(encode_snapshot(a_task(created_number=77)), task)
    assert not is_snapshot_of(None, task)


def test_snapshot_struct_is_the_json() -> None:
    """What `snapshot_of` shows is what is stored."""
    task = a_task_in(State.RUNNING)
    assert msgspec.json.encode(snapshot_of(task)) == encode_snapshot(task)


def damaged(**fields: object) -> bytes:
    """A snapshot with other values; a field given as `...` is left out."""
    given = json.loads(encode_snapshot(a_task())) | fields
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"nonsense",
        b'{"id":',
        b'{"id":"\xff"}',
        b"[" * 100_000,
        b'{"more":' + b"[" * 100_000,
        encode_snapshot(a_task())[:-1],
        *(damaged(**{field: ...}) for field in FIELDS),
        damaged(state="paused"),
        damaged(state="Pending"),
        damaged(version="1"),
        damaged(position="1795398503973"),
        damaged(position="end"),
        damaged(position=None),
        damaged(created_at="yesterday"),
        damaged(created_at=None),
        damaged(updated_at="2026-11-23T01:48:23.973"),
        damaged(started_at=5),
        damaged(completed_at=""),
        damaged(tags="a"),
        damaged(tags=[None]),
        damaged(description=None),
    ],
    ids=lambda snapshot: ascii(snapshot[-24:]),
)
def test_decode_of_what_is_no_snapshot_is_damage(snapshot: bytes) -> None:
    """Whatever was not projected is said to be damaged, with its key; nothing is guessed (P10)."""
    with pytest.raises(SnapshotDamagedError) as caught:
        decode_snapshot(snapshot, key=KEY)
    assert caught.value.key == KEY
    assert KEY in str(caught.value)
