"""An append with receipts against the same append without: `python -m tests.benchmarks.receipts`.

`--events` is how many single appends make a median, in each of the two ways and in turns. Both stores use the client that a
town has. By processor time it is this process and the server together, without the waiting for the disk.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger import EventStore, Keys
from tests.benchmarks.append import append_to, microseconds
from tests.benchmarks.measure import Bench, Figures, a_bench
from tests.benchmarks.measure import main as measure
from town.folder.settings import SOCKET_FILE
from town.receipts.kept import KeptReceipts
from town.server.socket_client import client_of_own_socket

EVENTS = 2_000
_BATCHES = 20


def run(events: int, runs: int) -> Figures:
    """Microseconds of an append without and with receipts, and of the processor's; and how long the last position takes to find."""
    with a_bench() as bench, _own_home() as home:
        client = client_of_own_socket(str(bench.folder / SOCKET_FILE), explain=lambda _: None)
        receipts = KeptReceipts(home, "with")
        without = EventStore(client, Keys("without"))
        with_them = EventStore(client, Keys("with"), receipts=receipts)
        wall: tuple[list[float], list[float]] = ([], [])
        cpu: tuple[list[float], list[float]] = ([], [])
        for store in (without, with_them):
            append_to(store)
        for _ in range(runs * _BATCHES):
            for place, store in enumerate((without, with_them)):
                began = _processor_seconds(bench)
                wall[place].extend(
                    microseconds(lambda store=store: append_to(store))  # type: ignore[misc]  # bound per turn
                    for _ in range(max(events // _BATCHES, 1))
                )
                cpu[place].append((_processor_seconds(bench) - began) * 1e6 / max(events // _BATCHES, 1))
        found = statistics.median(microseconds(receipts.renew) for _ in range(min(events, 200)))
        receipts.close()
    plain, kept = (statistics.median(each) for each in wall)
    plain_cpu, kept_cpu = (statistics.median(each) for each in cpu)
    return {
        "append, µs": plain,
        "append with receipts, µs": kept,
        "with receipts / without": kept / plain,
        "append, processor µs": plain_cpu,
        "append with receipts, processor µs": kept_cpu,
        "with receipts / without, by CPU": kept_cpu / plain_cpu,
        "finding the last position, µs": found,
    }


def _processor_seconds(bench: Bench) -> float:
    return time.process_time() + bench.server_cpu()


@contextmanager
def _own_home() -> Iterator[Path]:
    """A home without anything in it."""
    before = os.environ.get("HOME")
    with tempfile.TemporaryDirectory(prefix="tt-bench-") as name:
        os.environ["HOME"] = name
        try:
            yield Path(name)
        finally:
            if before is not None:
                os.environ["HOME"] = before


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
