"""A primary with two replicas whose sentinels replace it again and again while clients of every kind use its towns.

As for a cluster: what a failover lost is listed, and nothing else may be wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests.support.chaos import STORM_OPTIONS, SentinelChaos
from tests.support.clusters import running_sentinels
from tests.support.storms import LOCAL, chosen_seed, make_towns, storm

SECONDS, TOWNS = (300.0, 40) if os.environ.get("TT_STRESS") else (8.0, 4)


ACKS = (LOCAL,)
"""What an event waits for before it is acknowledged."""


@pytest.mark.stress
@pytest.mark.parametrize("acks", ACKS)
def test_storm_behind_sentinels_breaks_no_promise(tmp_path: Path, acks: str) -> None:
    """4 towns for some 30 s, or 40 for 300 s with TT_STRESS=1: 12 clients, three kinds of faults, each at least once."""
    seed = chosen_seed()
    folders, logs = tmp_path / "towns", tmp_path / "logs"
    logs.mkdir()
    names = [f"t{number}" for number in range(TOWNS)]
    with running_sentinels(tmp_path / "s", options=STORM_OPTIONS) as group:
        made = make_towns(folders, names, group.url, acks=acks)
        chaos = SentinelChaos(group, names, Random(seed))
        left = storm(chaos, folders=folders, logs=logs, made=made, seed=seed, seconds=SECONDS, watchers=group.sentinels)
    print(f"\nTT_SEED={seed} acks={acks}\n{left.describe()}")  # noqa: T201 - it repeats the run
    assert left.findings == []
    if acks != LOCAL:
        assert left.lost == []
    assert len(chaos.faults) >= 3
