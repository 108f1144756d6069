"""Checkpoints: how far each projection has come, and by which program."""

from __future__ import annotations

from typing import Any

import pytest
from fakeredis import FakeRedis

from ledger import BEGINNING, Keys, Position
from projections import (
    VIEWS,
    CheckpointMismatchError,
    NewerProjectionError,
    OutdatedProjectionError,
    RebuildUnfinishedError,
)
from projections.checkpoint import REBUILD_FENCED, REBUILD_ONLINE, Checkpoint, Checkpoints

KEYS = Keys("demo")


@pytest.fixture
def client() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def checkpoints(client: FakeRedis) -> Checkpoints:
    return Checkpoints(client, KEYS, VIEWS)


def store_all(client: FakeRedis, checkpoints: Checkpoints, **fields: Any) -> None:
    for key, (_, schema_version) in zip(checkpoints.keys, checkpoints.projections, strict=True):
        client.hset(key, mapping={"position": "5-2", "schema_version": schema_version, "generation": 0} | fields)


def test_absent_checkpoints_are_the_beginning(checkpoints: Checkpoints) -> None:
    """Projections that have taken in nothing start before the first event."""
    sound = checkpoints.read_sound()
    assert sound[0] == Checkpoint(position=BEGINNING, schema_version=1)
    assert {each.position for each in sound} == {BEGINNING}
    assert checkpoints.position() == BEGINNING


def test_checkpoint_has_position_and_generation(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """What was committed is read back; a missing generation is the first."""
    store_all(client, checkpoints, generation=7)
    client.hdel(checkpoints.keys[1], "generation")
    assert [each.generation for each in checkpoints.read_sound()[:2]] == [7, 0]
    assert checkpoints.position() == "5-2"


@pytest.mark.parametrize(("schema", "error"), [(99, NewerProjectionError), (0, OutdatedProjectionError)])
def test_checkpoint_of_another_program_stops(
    schema: int, error: type[Exception], client: FakeRedis, checkpoints: Checkpoints
) -> None:
    """A newer or older schema version is never mixed with ours; the message names both."""
    store_all(client, checkpoints)
    client.hset(checkpoints.keys[2], "schema_version", str(schema))
    with pytest.raises(error, match=f"{checkpoints.projections[2][0]} has schema {schema}.* 1"):
        checkpoints.read_sound()


def test_checkpoint_that_is_missing_alone_is_outdated(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """A view that came with a newer program was never projected: it is to be built, not taken for empty."""
    store_all(client, checkpoints)
    client.delete(checkpoints.keys[-1])
    with pytest.raises(OutdatedProjectionError, match="Build it anew"):
        checkpoints.read_sound()


def test_checkpoints_at_two_positions_stop(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """Projections that do not stand together cannot be moved together."""
    store_all(client, checkpoints)
    client.hset(checkpoints.keys[3], "position", "4-1")
    with pytest.raises(CheckpointMismatchError, match="4-1"):
        checkpoints.read_sound()


def test_fence_keeps_others_out_until_the_mark_is_gone(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """A fence sets every checkpoint, in a new generation, and stops whoever wants to project."""
    store_all(client, checkpoints, generation=3)
    seen = checkpoints.read()
    assert checkpoints.fence(seen, BEGINNING)
    with pytest.raises(RebuildUnfinishedError):
        checkpoints.read_sound()
    fenced = checkpoints.read_sound(is_fenced_too=True)
    assert {(each.position, each.generation) for each in fenced} == {(BEGINNING, 4)}
    assert fenced[0].rebuild == REBUILD_FENCED
    assert not checkpoints.fence(seen, BEGINNING)
    checkpoints.mark_rebuild(None)
    assert checkpoints.read_sound()[0].rebuild is None


def test_fence_at_an_event_that_a_failover_took_away_sets_nothing(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """The rebuild has read what this server never had. An event that is there, or was the last, is fine."""
    store_all(client, checkpoints)
    seen = checkpoints.read()
    assert not checkpoints.fence(seen, Position("9-9"))
    client.xadd(KEYS.ledger, {"event": "1"}, id="9-8")
    assert not checkpoints.fence(seen, Position("9-9"))
    assert checkpoints.read() == seen
    client.xadd(KEYS.ledger, {"event": "2"}, id="9-9")
    client.xdel(KEYS.ledger, "9-9")
    assert checkpoints.fence(seen, Position("9-9"))
    assert checkpoints.fence(checkpoints.read(), Position("9-8"))


def test_online_rebuild_lets_others_project(client: FakeRedis, checkpoints: Checkpoints) -> None:
    """Its mark only tells that somebody is to finish it."""
    store_all(client, checkpoints)
    checkpoints.mark_rebuild(REBUILD_ONLINE)
    assert checkpoints.read_sound()[0].rebuild == REBUILD_ONLINE
