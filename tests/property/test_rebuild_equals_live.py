"""Random histories on a real server: however they were projected, a rebuild gives the same keys, byte by byte (P5, P8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from ledger import EventStore, Keys, NewEvent, RecordedEvent
from projections import Projector, Rebuild, verify
from tests.property.examples import examples
from tests.property.histories import histories
from tests.support.expected_keys import dump_keys, projected
from tests.support.scene import assert_sound

_EXAMPLES_MAX = 12
batch_sizes = st.lists(st.integers(1, 9), max_size=6)


def fill(client: redis.Redis, keys: Keys, events: list[RecordedEvent]) -> None:
    """Append the events by the append script, one command at a time."""
    store = EventStore(client, keys)
    for recorded in events:
        event = NewEvent(
            task=recorded.task,
            version=recorded.version,
            actor=recorded.actor,
            command=recorded.command,
            data=recorded.data,
        )
        store.append([event], {recorded.task: recorded.version - 1}, backdate_ms=recorded.position.ms)


def project(client: redis.Redis, keys: Keys, sizes: list[int]) -> None:
    """Project batches of these sizes, then the rest."""
    for size in sizes:
        Projector(client, keys, batch_events_max=size).project_batch()
    Projector(client, keys).catch_up()


def rebuild(client: redis.Redis, keys: Keys, **options: Any) -> int:
    """Rebuild; how many differences there were."""
    return Rebuild(client, keys, holder="test", **options).run().differences


def drop_projections(client: redis.Redis, keys: Keys) -> None:
    """Delete every snapshot, view and checkpoint."""
    for key in dump_keys(client, keys):
        if key not in (keys.ledger.encode(), keys.heads.encode()):
            client.delete(key)


@pytest.fixture
def keys_of_its_own() -> Callable[[], Keys]:
    """Makes the keys of a town that no other example has."""
    return lambda: Keys(f"town-{uuid4().hex[:8]}")


@examples(_EXAMPLES_MAX)
@given(events=histories, sizes=batch_sizes)
def test_rebuild_of_what_was_projected_changes_not_a_byte(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], sizes: list[int]
) -> None:
    """In whatever batches it was projected, `verify` finds nothing and a rebuild nothing to do."""
    keys = keys_of_its_own()
    fill(client, keys, events)
    project(client, keys, sizes)
    before = dump_keys(client, keys)
    if events:
        assert_sound(client, keys)
    assert verify(client, keys).findings == ()
    assert rebuild(client, keys) == 0
    assert dump_keys(client, keys) == before


@examples(_EXAMPLES_MAX)
@given(events=histories, sizes=batch_sizes)
def test_rebuild_from_nothing_gives_what_was_projected(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], sizes: list[int]
) -> None:
    """All snapshots, views and checkpoints deleted: they come back as they were."""
    keys = keys_of_its_own()
    fill(client, keys, events)
    project(client, keys, sizes)
    before = projected(client, keys)
    drop_projections(client, keys)
    rebuild(client, keys)
    Projector(client, keys).catch_up()
    assert projected(client, keys) == before
    assert verify(client, keys).findings == ()


@examples(_EXAMPLES_MAX)
@given(events=histories, cut=st.integers(0, 40), sizes=batch_sizes)
def test_rebuild_in_the_middle_of_a_history_goes_on_alike(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], cut: int, sizes: list[int]
) -> None:
    """Rebuilt from nothing half way, then projected on in any batches: the same as projected throughout."""
    live, rebuilt = keys_of_its_own(), keys_of_its_own()
    fill(client, live, events)
    project(client, live, [])
    fill(client, rebuilt, events[:cut])
    project(client, rebuilt, sizes)
    drop_projections(client, rebuilt)
    rebuild(client, rebuilt)
    fill(client, rebuilt, events[cut:])
    project(client, rebuilt, sizes)
    assert verify(client, rebuilt).findings == ()
    assert renamed(projected(client, rebuilt), rebuilt) == renamed(projected(client, live), live)


@examples(_EXAMPLES_MAX)
@given(events=histories.filter(bool), data=st.data())
def test_rebuild_heals_any_keys_taken_away(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], data: st.DataObject
) -> None:
    """Any of the snapshots, views and checkpoints deleted, in any number."""
    keys = keys_of_its_own()
    fill(client, keys, events)
    project(client, keys, [])
    before = projected(client, keys)
    theirs = sorted(set(dump_keys(client, keys)) - {keys.ledger.encode(), keys.heads.encode()})
    # With all of them gone the town is one that was never projected, and nothing is wrong with it.
    for key in data.draw(st.sets(st.sampled_from(theirs), min_size=1, max_size=len(theirs) - 1)):
        client.delete(key)
    assert verify(client, keys).findings
    rebuild(client, keys)
    Projector(client, keys).catch_up()
    assert verify(client, keys).findings == ()
    assert projected(client, keys) == before


def renamed(contents: dict[bytes, object], keys: Keys) -> dict[bytes, object]:
    return {key.removeprefix(keys.prefix.encode()): content for key, content in contents.items()}
