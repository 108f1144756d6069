"""The board in Chromium: `python -m tests.benchmarks.page`.

A town of so many tasks as `--events` make, 5,000 without it, of which 2,000 are open: how long the page loads until its
board is there and follows the town, and how long a frame takes while a column is scrolled.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.measure import EVENTS_PER_TASK, Figures
from tests.benchmarks.measure import main as measure
from tests.browser.chromium import launched, what_lacks
from tests.browser.looking import SCROLL
from tests.browser.serving import serving
from tests.support.towns import end_server
from town import Town

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVENTS: Final = 20_000
OPEN_TASKS_MAX: Final = 2_000
SCROLLS: Final = 200
_READY: Final = """() => document.querySelector(".card") && document.querySelector(".live-dot")?.dataset.state === "live"
  ? performance.now() : 0"""


def run(events: int, runs: int) -> Figures:
    """Milliseconds from the beginning of the navigation; each load has a browser profile of its own, so nothing is kept."""
    tasks = events // EVENTS_PER_TASK
    with tempfile.TemporaryDirectory(prefix="tt-") as name:
        folder = Path(name) / "town"
        with Town.init(folder, name="bench", actor="bench", is_registered=False) as town:
            _fill(town, tasks, Path(name) / "issues.jsonl")
            with serving(folder) as address, launched() as browser:
                _look(browser, address)
                looks = [_look(browser, address) for _ in range(runs)]
        end_server(folder)
    loads = [load for load, _ in looks]
    frames = [frame for _, each in looks for frame in each]
    return {
        "tasks": tasks,
        "load to interactive, ms": statistics.median(loads),
        "load to interactive, longest, ms": max(loads),
        "frame while scrolling, ms": statistics.median(frames),
        "frame while scrolling, 95 %, ms": statistics.quantiles(frames, n=20)[-1],
    }


def _fill(town: Town, tasks: int, export: Path) -> None:
    with export.open("w", encoding="utf-8") as file:
        for number in range(tasks):
            status = "open" if number < OPEN_TASKS_MAX else "closed"
            file.write(
                json.dumps({"id": f"t-{number}", "title": f"Task {number} of the plan", "status": status}) + "\n"
            )
    town.imports.beads(export)


def _look(browser: Browser, address: str) -> tuple[float, list[float]]:
    """How long a fresh page takes until it can be used, and the frames of a scroll from top to bottom."""
    # What waits for the page is evaluated in it, which its own policy forbids.
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.goto(address, wait_until="commit")
    load: float = page.wait_for_function(_READY, polling="raf").json_value()
    frames: list[float] = page.evaluate(SCROLL, SCROLLS)
    context.close()
    return load, frames


def main(arguments: Sequence[str] | None = None) -> None:
    lacking = what_lacks()
    if lacking is not None:
        sys.exit(lacking)
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
