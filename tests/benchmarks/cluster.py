"""Appends on a node of a cluster, and with a wait for a replica: `python -m tests.benchmarks.cluster`.

Three primaries, on loopback, each durable as a town's own server. `--events` is how many appends each figure takes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import redis

from ledger import Acks, EventStore, Keys
from ledger.recorded_event import encode_event
from tests.benchmarks.append import an_event, append_to, in_turns
from tests.benchmarks.measure import Figures
from tests.benchmarks.measure import main as measure
from tests.support.clusters import Node, running_cluster
from tests.support.waiting import wait_until
from town.server.bounded_client import client_of_url
from town.server.routed_client import client_of_group
from town.trust.url_rules import read_group_url

EVENTS = 3_000
TOWNS = 300


def run(events: int, runs: int) -> Figures:
    """Microseconds of an append and of a bare XADD, and of the processors for an append of one of 300 towns."""
    towns = max(min(TOWNS, events // 10), 1)
    with tempfile.TemporaryDirectory(prefix="tt-") as name:
        folder = Path(name)
        return _on_a_cluster(folder, events * runs, towns) | _with_a_replica(folder, max(events * runs // 10, 10))


def _on_a_cluster(folder: Path, calls: int, towns: int) -> Figures:
    with running_cluster(folder / "cluster", replicas=0) as cluster:
        single = Node(folder / "single")
        try:
            keys = Keys("bench", hash_tag=True)
            with closing(client_of_group(read_group_url(cluster.url), keys.ledger)) as client:
                store = EventStore(client, keys)
                bare = f"{keys.prefix}:bare"
                added, appended = in_turns(
                    calls, lambda: client.xadd(bare, {"event": encode_event(an_event())}), lambda: append_to(store)
                )
            together = [
                client_of_group(read_group_url(cluster.url), Keys(f"town-{number}", hash_tag=True).ledger)
                for number in range(towns)
            ]
            alone = [client_of_url(f"redis://{single.address}") for _ in range(towns)]
            spread = _cpu_of(together, cluster.nodes, calls)
            one = _cpu_of(alone, [single], calls)
        finally:
            single.kill()
    return {
        "bare XADD on a node, µs": added,
        "append on a node, µs": appended,
        "append / bare XADD, on a node": appended / added,
        f"{towns} towns on 3 primaries, CPU µs an append": spread,
        f"{towns} towns on one server, CPU µs an append": one,
        "3 primaries / one server, CPU": spread / one,
    }


def _cpu_of(clients: Sequence[redis.Redis], nodes: Sequence[Node], calls: int) -> float:
    """Microseconds on the processors, of this process and the servers, for one of `calls` appends, to one town after the other."""
    stores = [EventStore(client, Keys(f"town-{number}", hash_tag=True)) for number, client in enumerate(clients)]
    for store in stores:
        append_to(store)
    before = time.process_time() + sum(map(_server_cpu, nodes))
    for number in range(calls):
        append_to(stores[number % len(stores)])
    used = time.process_time() + sum(map(_server_cpu, nodes)) - before
    for client in clients:
        client.close()
    return used / calls * 1e6


def _server_cpu(node: Node) -> float:
    told = node.ask("INFO", "cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def _with_a_replica(folder: Path, calls: int) -> Figures:
    primary = Node(folder / "primary")
    replica = Node(folder / "replica", "--replicaof", f"127.0.0.1 {primary.port}")
    try:
        wait_until(lambda: primary.ask("WAIT", 1, 1_000) == 1)
        with closing(client_of_url(f"redis://{primary.address}")) as client:
            keys = Keys("bench")
            store, acks = EventStore(client, keys), Acks(client, keys, replicas=1)

            def append_and_wait() -> None:
                event = an_event()
                acks.confirm(store.append([event], {event.task: 0})[-1])

            def add_and_wait() -> None:
                with client.pipeline(transaction=False) as pipeline:
                    pipeline.xadd("bare", {"event": encode_event(an_event())})
                    pipeline.execute_command("WAIT", 1, 2_500)  # type: ignore[no-untyped-call]
                    pipeline.execute_command("WAITAOF", 1, 1, 2_500)  # type: ignore[no-untyped-call]
                    pipeline.execute()

            added, waited = in_turns(calls, add_and_wait, append_and_wait)
            local = statistics.median(in_turns(calls, lambda: append_to(store), lambda: append_to(store)))
    finally:
        for node in (replica, primary):
            node.kill()
    return {
        "append, µs": local,
        "append and wait for a replica, µs": waited,
        "bare XADD and WAITAOF, µs": added,
        "append and wait / bare XADD and WAITAOF": waited / added,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
