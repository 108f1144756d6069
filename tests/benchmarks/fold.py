"""Folding a whole town against merely reading it with redis-py and hiredis: `python -m tests.benchmarks.fold`.

The town has four events of each task. `fold` is read, decode, upcast and evolve; `bare read` is XRANGE in the same batches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import redis

from ledger import EventStore, Keys
from ledger.event_store import READ_EVENTS_MAX
from projections import replay
from tests.benchmarks.measure import (
    EVENTS_PER_TASK,
    TOWN,
    Figures,
    a_bench,
    connect,
    fill,
    medians,
    peak_kb,
    rates,
    say_peak,
)
from tests.benchmarks.measure import main as measure
from town.folder.settings import SOCKET_FILE

EVENTS = 1_000_000
_MODULE = "tests.benchmarks.fold"


def read_bare(client: redis.Redis, keys: Keys) -> int:
    """Read every entry as redis-py gives it, and do nothing with it; returns how many there are."""
    count, after = 0, "-"
    while entries := cast("list[tuple[bytes, Any]]", client.xrange(keys.ledger, after, "+", count=READ_EVENTS_MAX)):
        count += len(entries)
        after = f"({entries[-1][0].decode()}"
    return count


def run(events: int, runs: int) -> Figures:
    """Rates of the bare read and of the fold, their ratio, and the fold's memory for each task."""
    tasks = events // EVENTS_PER_TASK
    with a_bench() as bench:
        total = fill(bench.store, tasks=tasks)
        found = medians(
            runs,
            {"bare read": lambda: read_bare(bench.client, bench.keys), "fold": lambda: replay(bench.store)},
        )
        socket = bench.folder / SOCKET_FILE
        idle_kb, peak = peak_kb(_MODULE, "--idle", socket), peak_kb(_MODULE, "--peak", socket)
    read, fold = found["bare read"], found["fold"]
    return (
        {"events": total, "tasks": tasks}
        | rates("bare read", read, total)
        | rates("fold", fold, total)
        | {
            "fold / bare read": read.wall / fold.wall,
            "fold / bare read by CPU": read.cpu / fold.cpu,
            "memory, bytes a task": (peak - idle_kb) * 1_024 / tasks,
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] in (["--idle"], ["--peak"]):
        store = EventStore(connect(given[1]), Keys(TOWN))
        board = replay(store) if given[0] == "--peak" else store.end()
        say_peak()
        del board
        return
    measure(run, events=EVENTS, arguments=given)


if __name__ == "__main__":
    main()
