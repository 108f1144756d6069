"""Finds events in a large town, frequent ones and such as are not there, against decoding the whole ledger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, Work, a_bench, fill, median, medians, timed
from tests.benchmarks.measure import main as measure
from town import EventFilter
from town.reading.event_filter import Holders
from town.reading.event_reader import EventReader

EVENTS: Final = 1_000_000
PAGE_EVENTS: Final = 20
ABSENT = {
    "actor": EventFilter(actor="nobody"),
    "type": EventFilter(type="task.failed"),
    "text": EventFilter(text="zebra crossing"),
    "agent": EventFilter(agent="nobody"),
}
FREQUENT = {
    "actor": EventFilter(actor="bench"),
    "type": EventFilter(type="task.completed"),
    "text": EventFilter(text="ALL TESTS"),
    "agent": EventFilter(agent="worker-3"),
}


def run(events: int, runs: int) -> Figures:
    with a_bench() as bench:
        total = fill(bench.store, tasks=events // EVENTS_PER_TASK)
        reader = EventReader(bench.store)
        absent: dict[str, Work] = {name: partial(reader.page, each) for name, each in ABSENT.items()}
        works: dict[str, Work] = {"whole": partial(_decode_all, bench), **absent}
        timings = medians(runs, works)
        figures: Figures = {"events": total, "decode all ms": timings["whole"].wall * 1_000}
        for name in ABSENT:
            figures[f"absent {name} ms"] = timings[name].wall * 1_000
            figures[f"absent {name} / decode all"] = timings[name].wall / timings["whole"].wall
            figures[f"absent {name} / decode all, CPU"] = timings[name].cpu / timings["whole"].cpu
        for name, wanted in FREQUENT.items():
            page: Work = partial(reader.page, wanted, count=PAGE_EVENTS)
            figures[f"frequent {name} ms"] = median([timed(page) for _ in range(runs)]).wall * 1_000
        before = bench.server_cpu()
        reader.page(ABSENT["actor"])
        figures["server CPU of an absent actor, ms"] = (bench.server_cpu() - before) * 1_000
        return figures


def _decode_all(bench: Bench) -> int:
    """What `tt events --agent` did."""
    holders = Holders()
    return sum(holders.concerns(each, "nobody") for batch in bench.store.read_batches() for each in batch)


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
