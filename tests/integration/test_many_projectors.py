"""Eight projectors on one town while four writers append: every event is folded once, and soon."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger import EventStore, Keys
from projections import VIEWS, replay
from projections.checkpoint import Checkpoints
from tests.support.expected_keys import assert_projected
from tests.support.processes import workers_at_the_line
from tests.support.projectors import background_projectors
from tests.support.towns import client_of
from tests.support.waiting import wait_until
from town import Town

PROJECTORS = 8
WRITERS = 4
APPENDS_EACH = 150
BEHIND_SECONDS_MAX = 1.0
KEYS = Keys("many")


@pytest.mark.parametrize("has_leases", [True, False], ids=["with leases", "racing"])
def test_eight_projectors_fold_every_event_once(folder: Path, tmp_path: Path, has_leases: bool) -> None:
    """Views, counts and throughput equal the fold within a second after the writers stop.

    Once through `tt projector`, where a lease leaves the work to one; and once with projectors that know of no lease, so
    that all eight race for every batch and only the commit keeps them apart.
    """
    Town.init(folder, name=KEYS.town).close()
    stop = tmp_path / "stop"
    with ExitStack() as stack:
        if has_leases:
            stack.enter_context(background_projectors(PROJECTORS, folder=folder, logs=tmp_path))
        else:
            racers = [(folder, KEYS.town, stop) for _ in range(PROJECTORS)]
            racing = stack.enter_context(workers_at_the_line("project_until_stopped", racers))
            for racer in racing:
                racer.go()
        lines = [(folder, f"writer-{number}", APPENDS_EACH) for number in range(WRITERS)]
        writers = stack.enter_context(workers_at_the_line("append_alone", lines))
        for writer in writers:
            writer.go()
        for writer in writers:
            writer.finish()
        stopped = time.monotonic()
        client = stack.enter_context(client_of(folder))
        store = EventStore(client, KEYS)
        checkpoints = Checkpoints(client, KEYS, VIEWS)
        end = store.end()
        wait_until(lambda: checkpoints.position() == end, seconds_max=BEHIND_SECONDS_MAX)
        print(f"\n{end.seq} events are in {time.monotonic() - stopped:.3f} s after the writers stopped")  # noqa: T201 - a figure
        assert end.seq == WRITERS * APPENDS_EACH * 4
        assert_projected(client, KEYS, replay(store))
        if not has_leases:
            stop.touch()
            for racer in racing:
                racer.finish()
            assert_projected(client, KEYS, replay(store))
