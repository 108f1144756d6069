"""Random histories on a real server: out into a file and in again is the identity, in one go or after any beginning."""

from __future__ import annotations

import io
from pathlib import Path
from uuid import uuid4

import redis
from hypothesis import given
from hypothesis import strategies as st

from ledger import Keys, Position, RecordedEvent
from projections import Projector, Rebuild, replay, verify
from tests.property.examples import examples
from tests.property.histories import histories
from tests.property.test_rebuild_equals_live import fill
from tests.support.expected_keys import projected
from tests.support.ledger_files import backend_of, empty, export_to, import_from

_EXAMPLES_MAX = 12


@examples(_EXAMPLES_MAX)
@given(events=histories, share=st.floats(0, 1))
def test_export_then_import_is_the_identity(
    client: redis.Redis, tmp_path: Path, events: list[RecordedEvent], share: float
) -> None:
    """Entries, heads, snapshots, views and every past board; also where a part of the ledger came in before."""
    backend = backend_of(client, Keys(f"town-{uuid4().hex[:8]}"), tmp_path)
    fill(client, backend.keys, events)
    Projector(client, backend.keys).catch_up()
    before = town_of(client, backend.keys)
    then: Position | None = events[int(share * (len(events) - 1))].position if events else None
    board = replay(backend.store, upto=then).tasks
    part, whole = io.BytesIO(), io.BytesIO()
    export_to(backend, part, until=then)
    export_to(backend, whole)
    empty(client, backend.keys)
    first = import_from(backend, io.BytesIO(part.getvalue())).appended
    assert replay(backend.store).tasks == board
    assert first + import_from(backend, io.BytesIO(whole.getvalue())).appended == len(events)
    Projector(client, backend.keys).catch_up()
    assert town_of(client, backend.keys) == before
    assert replay(backend.store, upto=then).tasks == board
    assert verify(client, backend.keys).findings == ()
    assert Rebuild(client, backend.keys, holder="test").run().differences == 0
    again = io.BytesIO()
    export_to(backend, again)
    assert again.getvalue() == whole.getvalue()


def town_of(client: redis.Redis, keys: Keys) -> tuple[object, ...]:
    return client.xrange(keys.ledger), client.hgetall(keys.heads), projected(client, keys)
