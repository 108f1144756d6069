"""Exporting and importing a whole ledger, against folding it and against appending it: `python -m tests.benchmarks.export`.

`import` is the whole of it: read, check, judge, compare and copy. What is appended in batches are the same events, as a
program would append them; neither is projected.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from projections import replay
from tests.benchmarks.measure import EVENTS_PER_TASK, Bench, Figures, a_bench, fill, medians, rates
from tests.benchmarks.measure import main as measure
from town.backend import Backend
from town.exports.exporter import Exporter, Format
from town.imports.ledger import LedgerImporter
from town.reading.event_reader import EventReader

EVENTS = 400_000


def run(events: int, runs: int) -> Figures:
    """Rates of the fold, of exports in every format, of appends in batches and of imports, and the ratios that are promised."""
    tasks = events // EVENTS_PER_TASK
    with a_bench() as bench, tempfile.TemporaryDirectory(prefix="tt-export-") as name:
        folder = Path(name)
        total = fill(bench.store, tasks=tasks)
        backend = backend_of(bench)
        exporter = Exporter(backend, EventReader(bench.store))
        whole = folder / "whole.jsonl"
        exports = {
            "export": lambda: exporter.export(whole),
            "export .zst": lambda: exporter.export(folder / "whole.jsonl.zst"),
            "export .gz": lambda: exporter.export(folder / "whole.jsonl.gz"),
            "export csv": lambda: exporter.export(folder / "whole.csv", Format.CSV),
            "export ocel": lambda: exporter.export(folder / "whole.json", Format.OCEL),
            "export cloudevents": lambda: exporter.export(folder / "events.jsonl", Format.CLOUDEVENTS),
        }
        out = medians(runs, {"fold": lambda: replay(bench.store), **exports})
        kept = Path(shutil.copy(whole, folder / "kept.jsonl"))
        size_bytes = whole.stat().st_size
        come_in = medians(
            runs,
            {
                "append": lambda: fill(bench.store, tasks=tasks),
                "import": lambda: LedgerImporter(backend, kept).run(),
                "import again": lambda: LedgerImporter(backend, kept).run(),
            },
            before_each=Emptied(bench),
        )
    figures: Figures = {"events": total, "bytes an event": size_bytes / total}
    for name, timing in (out | come_in).items():
        figures |= rates(name, timing, total)
    return figures | {
        "export / fold": out["fold"].wall / out["export"].wall,
        "import / append": come_in["append"].wall / come_in["import"].wall,
    }


class Emptied:
    """Empties the ledger before each work but every third, which finds what the one before it left."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._turn = 0

    def __call__(self) -> None:
        if self._turn % 3 < 2:
            self._bench.client.delete(self._bench.keys.ledger, self._bench.keys.heads)
        self._turn += 1


def backend_of(bench: Bench) -> Backend:
    return Backend(bench.client, bench.keys, folder=bench.folder, actor="bench")


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
