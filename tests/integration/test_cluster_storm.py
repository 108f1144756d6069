"""A cluster whose slots move and whose primaries are killed, paused and cut off while clients of every kind use its towns.

Clients reach each node by a proxy, so that they can be cut off from it as well: all of them or some, in both directions or one.

A checker holds all that the clients were told against the ledgers. With `acks = "local"`, a failover may lose what was
acknowledged shortly before: that is listed, and nothing else may be wrong. With `acks = "replicas:1"` nothing may be lost.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.support.chaos import STORM_OPTIONS, ClusterChaos
from tests.support.clusters import running_cluster
from tests.support.network import Proxy
from tests.support.storms import LOCAL, Form, chosen_seed, make_towns, recover, storm

ACKS: Final = (LOCAL, "replicas:1")
"""What an event waits for before it is acknowledged, in every other town."""
SHORT: Final = Form(seconds=60.0, towns=12, pause_seconds_max=1.0, acks=ACKS)
"""Slow clients: this storm is beside other tests, and mostly waits."""
LONG: Final = Form(seconds=600.0, towns=300, pause_seconds_max=0.02, acks=ACKS)


@pytest.mark.stress
def test_storm_on_a_cluster_breaks_no_promise(tmp_path: Path) -> None:
    """12 towns for 60 s, or 300 for 600 s with TT_STRESS=1: 12 clients, fourteen kinds of faults, each at least once.

    TT_SEED=SEED repeats the wishes and the faults of a run, as far as a machine does the same twice.
    """
    form, seed = LONG if os.environ.get("TT_STRESS") else SHORT, chosen_seed()
    folders, logs = tmp_path / "towns", tmp_path / "logs"
    logs.mkdir()
    of_local = [name for name in form.names if form.acks_of(name) == LOCAL]
    with running_cluster(tmp_path / "c", options=STORM_OPTIONS, is_proxied=True) as cluster:
        made = make_towns(folders, form, cluster.url)
        chaos = ClusterChaos(cluster, form.names, Random(seed))
        left = storm(chaos, folders=folders, logs=logs, made=made, seed=seed, form=form, watchers=cluster.nodes)
        left = recover(folders, of_local, chaos, left.records)
        lost_on_the_way = sum(node.proxy.lost for node in cluster.nodes if isinstance(node.proxy, Proxy))
    print(f"\nTT_SEED={seed} {lost_on_the_way} requests and replies lost\n{left.describe()}")  # noqa: T201 - it repeats the run
    assert left.findings == []
    # What is lost for good is named by receipts: its task had gone on without it, and it is kept in a file.
    kept = "".join(file.read_text("utf-8") for file in Path.home().glob(".tt/receipts/*/*.lost.jsonl"))
    assert [call.mark for call in left.lost if call.town not in of_local or call.mark not in kept] == []
    assert chaos.moved >= 2
    assert len(chaos.faults) >= 12
