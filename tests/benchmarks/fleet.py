"""What a worker costs that has 10,000 idle towns on a real cluster of three primaries: `python -m tests.benchmarks.fleet`.

The towns have an event each, written past the commands, and are projected by the worker itself. Then it rests: its processor time
over some seconds is divided by these seconds. The bound is 2 % of a core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger import TOWNS_KEY, Keys, Position, TaskCreated
from ledger.recorded_event import encode_event
from tests.benchmarks.measure import Figures
from tests.benchmarks.measure import main as measure
from tests.support.builders import an_event, task_id
from tests.support.clusters import running_cluster
from tests.support.waiting import wait_until
from town.fleet import by_node
from town.server.nodes import Nodes, nodes_of

TOWNS: Final = 10_000
REST_SECONDS: Final = 20.0
PROJECT_SECONDS_MAX: Final = 300.0
_ASKED: Final = 20
_AT: Final = Position.of(ms=1_795_000_000_000, seq=1)


def fill(nodes: Nodes, count: int) -> list[Keys]:
    """Towns with an event each, in the list of the server, and not projected yet."""
    towns = [Keys(f"town-{number}", hash_tag=True) for number in range(count)]
    event = an_event(TaskCreated(description="One"), task=task_id(1), version=1)
    payload = b'{"prev":null,' + encode_event(event)[1:]
    for address, those in by_node(nodes, towns).items():
        client = nodes.client(address)
        pipeline = client.pipeline(transaction=False)
        for keys in those:
            pipeline.xadd(keys.ledger, {"event": payload}, id=_AT)
            pipeline.hset(keys.heads, task_id(1), f"1:{_AT}")
        pipeline.execute()
        client.close()
    client = nodes.client(nodes.owner(TOWNS_KEY))
    client.hset(TOWNS_KEY, mapping={f"{{{keys.town}}}": "" for keys in towns})
    client.close()
    return towns


def run(events: int, runs: int) -> Figures:
    """The part of a core that a worker of `events` idle towns takes, and what the cluster takes for it."""
    figures: Figures = {"towns": events}
    with tempfile.TemporaryDirectory() as folder, running_cluster(Path(folder), replicas=0) as cluster:
        nodes = nodes_of(cluster.url)
        nodes.look()
        towns = fill(nodes, events)
        with a_worker(cluster.url) as worker:
            began = time.monotonic()
            # Of the last ones, so that the question costs nothing.
            wait_until(lambda: are_projected(nodes, towns[-_ASKED:]), seconds_max=PROJECT_SECONDS_MAX)
            wait_until(lambda: are_projected(nodes, towns), seconds_max=PROJECT_SECONDS_MAX)
            figures["first projection, towns/s"] = events / (time.monotonic() - began)
            servers = [node.process.pid for node in cluster.nodes if node.process is not None]
            shares = [shares_of([worker.pid], servers) for _ in range(runs)]
    figures["worker, % of a core"] = 100 * max(mine for mine, _ in shares)
    figures["servers, % of a core"] = 100 * max(theirs for _, theirs in shares)
    return figures


def are_projected(nodes: Nodes, towns: Sequence[Keys]) -> bool:
    """Whether every town has its checkpoint at its event."""
    for address, those in by_node(nodes, towns).items():
        client = nodes.client(address)
        pipeline = client.pipeline(transaction=False)
        for keys in those:
            pipeline.hget(keys.checkpoint("task"), "position")
        if any(position != _AT.encode() for position in pipeline.execute()):
            client.close()
            return False
        client.close()
    return True


@contextmanager
def a_worker(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`tt projector --server`, which is ended by its stop signal."""
    command = [sys.executable, "-m", "cli.main", "projector", "--server", url]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(timeout=10)


def shares_of(*groups: Sequence[int]) -> tuple[float, ...]:
    """The share of a core that each group of processes takes over REST_SECONDS."""
    before = [[_cpu_seconds(pid) for pid in group] for group in groups]
    began = time.monotonic()
    _rest_until(lambda: time.monotonic() - began >= REST_SECONDS)
    elapsed = time.monotonic() - began
    after = [[_cpu_seconds(pid) for pid in group] for group in groups]
    return tuple((sum(late) - sum(early)) / elapsed for early, late in zip(before, after, strict=True))


def _rest_until(is_over: Callable[[], bool]) -> None:
    while not is_over():
        time.sleep(0.1)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=TOWNS, arguments=arguments)


if __name__ == "__main__":
    main()
