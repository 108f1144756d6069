"""The benchmarks run, in small, and print what they promise; how fast they are is for a quiet machine to say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from tests.benchmarks import (
    append,
    board,
    cluster,
    diff,
    export,
    fleet,
    fold,
    lists,
    live,
    log,
    migrate,
    past,
    push,
    ready,
    rebuild,
    receipts,
    search,
    serve,
    start_up,
    stats,
    trust,
    verify,
)
from tests.benchmarks.measure import EVENTS_PER_TASK
from tests.browser.chromium import what_lacks

EVENTS = 400
RATIOS = {
    "fold": ("fold / bare read", "fold / bare read by CPU", "memory, bytes a task"),
    "rebuild": ("rebuild / fold", "rebuild / fold by CPU", "memory, bytes a task"),
    "receipts": ("with receipts / without", "with receipts / without, by CPU", "finding the last position, µs"),
    "lists": ("state, large / small", "state and agent, large / small", "tag, large / small"),
    "search": ("a common word / scan", "first search / scan", "tt search / tt task list"),
    "log": ("absent actor / decode all", "absent agent / decode all, CPU", "frequent agent ms"),
    "live": ("lives events/s", "spread events/s"),
    "migrate": (
        "look, s",
        "adopt, s",
        "verify, s",
        "append and project created tasks, s",
        "migrate / append and project",
        "migrate and verify / append and project",
        "memory with small records, bytes a task",
        "memory with long records, bytes a task",
    ),
    "ready": ("20 ready, large / small", "unblock 1,000, server ms"),
    "past": ("any moment / without", "second look / without", "first look, which keeps boards / without"),
    "push": ("push / append", "push / append and project", "tt sync push / appending program"),
    "export": ("export / fold", "import / append"),
    "diff": (
        "lives of hours: diff / read",
        "lives of days: diff / read",
        "lives of hours: history, large / small",
        "lives of hours: blame, large / small",
        "lives of hours: why, large / small",
    ),
    "verify": ("verify / fold", "verify / fold by CPU"),
    "stats": ("all / fold", "all / fold by CPU", "period / all"),
    "board": ("warm, ms", "warm, at most", "cold, ms", "warm / fold"),
    "serve": ("no change, answers/s", "changes, p99, ms", "no change / library"),
    "fleet": ("towns", "first projection, towns/s"),
    "trust": ("checks of a command, ms", "checks before a start, ms"),
    "cluster": ("append / bare XADD, on a node", "3 primaries / one server, CPU", "append and wait for a replica, µs"),
    "append": ("append / bare XADD", "create / append", "create, projected, µs", "history in 100 tasks, µs"),
}


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("fold", fold.main),
        ("rebuild", rebuild.main),
        ("live", live.main),
        ("append", append.main),
        ("cluster", cluster.main),
        ("receipts", receipts.main),
        ("past", past.main),
        ("push", push.main),
        ("ready", ready.main),
        ("migrate", migrate.main),
        ("trust", trust.main),
        ("export", export.main),
        ("fleet", fleet.main),
        ("verify", verify.main),
        ("lists", lists.main),
        ("search", search.main),
        ("log", log.main),
        ("stats", stats.main),
        ("serve", serve.main),
        ("board", board.main),
        ("diff", diff.main),
    ],
)
def test_benchmark_prints_its_figures(
    name: str,
    main: Callable[[Sequence[str]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With --json one object of numbers, the ratios among them; without, a line for each."""
    monkeypatch.setattr(fleet, "REST_SECONDS", 1.0)
    main(["--events", str(EVENTS), "--runs", "1", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert set(RATIOS[name]) <= figures.keys()
    assert all(isinstance(figure, int | float) and figure > 0 for figure in figures.values() if figure)


def test_start_up_is_measured_without_valgrind_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By processor time, which every machine tells; counting instructions takes a minute."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    start_up.main(["--events", "4", "--runs", "1", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert [name for name in figures if name.startswith("tt ")] == [
        f"tt {command} / python -c pass by CPU"
        for command in ("task show", "task start", "task history", "task list", "tasks", "assign")
    ]
    assert all(figure > 1 for figure in figures.values())


def test_page_is_measured_in_a_browser() -> None:
    """As a process of its own, because a process has one browser at a time, and the tests of the page may have it."""
    lacking = what_lacks()
    if lacking is not None:
        pytest.skip(lacking)
    command = [sys.executable, "-m", "tests.benchmarks.page", "--events", str(EVENTS), "--runs", "1", "--json"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert figures["tasks"] == EVENTS / EVENTS_PER_TASK
    assert all(figures[name] > 0 for name in ("load to interactive, ms", "frame while scrolling, 95 %, ms"))


def test_benchmark_prints_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """For people: a name and a number on each line."""
    live.main(["--events", str(EVENTS), "--runs", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[0].strip() for line in lines][:2] == ["events", "batch"]
    assert all(float(line.rpartition("  ")[2].replace(",", "")) > 0 for line in lines)
