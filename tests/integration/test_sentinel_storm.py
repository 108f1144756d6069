"""A primary with two replicas whose sentinels replace it again and again while clients of every kind use its towns.

As for a cluster: what a failover lost is listed, and nothing else may be wrong. Where a town waits for a replica, nothing may be lost.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.support.chaos import STORM_OPTIONS, SentinelChaos
from tests.support.clusters import running_sentinels
from tests.support.storms import LOCAL, Form, chosen_seed, make_towns, recover, storm

ACKS: Final = (LOCAL, "replicas:1")
"""What an event waits for before it is acknowledged, in every other town."""
SHORT: Final = Form(seconds=8.0, towns=4, pause_seconds_max=0.5, acks=ACKS)
LONG: Final = Form(seconds=300.0, towns=40, pause_seconds_max=0.02, acks=ACKS)


@pytest.mark.stress
def test_storm_behind_sentinels_breaks_no_promise(tmp_path: Path) -> None:
    """4 towns for some 40 s, or 40 for 300 s with TT_STRESS=1: 12 clients, six kinds of faults or more, each at least once."""
    form, seed = LONG if os.environ.get("TT_STRESS") else SHORT, chosen_seed()
    folders, logs = tmp_path / "towns", tmp_path / "logs"
    logs.mkdir()
    of_local = [name for name in form.names if form.acks_of(name) == LOCAL]
    with running_sentinels(tmp_path / "s", options=STORM_OPTIONS, is_proxied=True) as group:
        made = make_towns(folders, form, group.url)
        chaos = SentinelChaos(group, form.names, Random(seed))
        left = storm(chaos, folders=folders, logs=logs, made=made, seed=seed, form=form, watchers=group.sentinels)
        left = recover(folders, of_local, chaos, left.records)
    print(f"\nTT_SEED={seed}\n{left.describe()}")  # noqa: T201 - it repeats the run
    assert left.findings == []
    # What is lost for good is named by receipts: its task had gone on without it, and it is kept in a file.
    kept = "".join(file.read_text("utf-8") for file in Path.home().glob(".tt/receipts/*/*.lost.jsonl"))
    assert [call.mark for call in left.lost if call.town not in of_local or call.mark not in kept] == []
    assert len(chaos.faults) >= 6
