"""A cluster whose slots move and whose primaries are killed, paused and cut off while clients of every kind use its towns.

A checker holds all that the clients were told against the ledgers. With `acks = "local"`, a failover may lose what was
acknowledged shortly before: that is listed, and nothing else may be wrong.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests.support.chaos import STORM_OPTIONS, ClusterChaos
from tests.support.clusters import running_cluster
from tests.support.storms import LOCAL, chosen_seed, make_towns, recover, storm

SECONDS, TOWNS = (600.0, 300) if os.environ.get("TT_STRESS") else (8.0, 12)


ACKS = (LOCAL, "replicas:1")
"""What an event waits for before it is acknowledged."""


@pytest.mark.stress
@pytest.mark.parametrize("acks", ACKS)
def test_storm_on_a_cluster_breaks_no_promise(tmp_path: Path, acks: str) -> None:
    """12 towns for some 20 s, or 300 for 600 s with TT_STRESS=1: 12 clients, seven kinds of faults, each at least once.

    TT_SEED=SEED repeats the wishes and the faults of a run, as far as a machine does the same twice.
    """
    seed = chosen_seed()
    folders, logs = tmp_path / "towns", tmp_path / "logs"
    logs.mkdir()
    names = [f"t{number}" for number in range(TOWNS)]
    with running_cluster(tmp_path / "c", options=STORM_OPTIONS) as cluster:
        made = make_towns(folders, names, cluster.url, acks=acks)
        chaos = ClusterChaos(cluster, names, Random(seed))
        left = storm(chaos, folders=folders, logs=logs, made=made, seed=seed, seconds=SECONDS, watchers=cluster.nodes)
        if acks == LOCAL:
            left = recover(folders, chaos, left.records)
    print(f"\nTT_SEED={seed} acks={acks}\n{left.describe()}")  # noqa: T201 - it repeats the run
    assert left.findings == []
    # What is lost for good is named by receipts: its task had gone on without it, and it is kept in a file.
    kept = "".join(file.read_text("utf-8") for file in Path.home().glob(".tt/receipts/*/*.lost.jsonl"))
    assert [call.mark for call in left.lost if acks != LOCAL or call.mark not in kept] == []
    assert chaos.moved >= 2
    assert len(chaos.faults) >= 6
