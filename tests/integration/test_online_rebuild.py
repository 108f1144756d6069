"""A rebuild beside writers and readers (P8): nobody waits for it, and nobody sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import quantiles

import msgspec
import pytest

from ledger import EventStore
from ledger.task import fold
from projections import encode_snapshot
from projections.rebuilding.overwrite import Overwrite, WriteBatch
from tests.benchmarks.measure import EVENTS_PER_TASK, fill, task_name
from tests.support.processes import WorkerProcess, workers_at_the_line
from tests.support.towns import client_of
from tests.support.waiting import wait_until
from town import Town

WRITERS = 4
READERS = 4
KNOWN = 20
COMMANDS_BEFORE = 50
APPENDS_MANY = 200
LONG = pytest.param(
    200_000, marks=[pytest.mark.stress, pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="TT_STRESS=1")]
)


@pytest.mark.parametrize("events", [10_000, LONG])
def test_rebuild_is_felt_by_nobody(folder: Path, tmp_path: Path, events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four writers and four readers go on: no append or command fails, no task is missed or torn.

    An append waits for a batch at most besides what it waits for without a rebuild, and no command waits for it all.
    """
    batches = timed_batches(monkeypatch)
    known = [task_name(number) for number in range(KNOWN)]
    stop = tmp_path / "stop"
    timings = [tmp_path / f"timings-{number}" for number in range(WRITERS)]
    sights = [tmp_path / f"sights-{number}" for number in range(READERS)]
    with Town.init(folder, name="online") as town, client_of(folder) as client:
        fill(town.backend.store, tasks=events // EVENTS_PER_TASK)
        town.upkeep.catch_up()
        # Something to put right that no reader looks at: a set of a third of the tasks.
        client.delete(town.keys.view("tag", "docs"))
        writing = [(folder, f"writer-{number}", ",".join(known), log, stop) for number, log in enumerate(timings)]
        reading = [(folder, ",".join(known), log, stop) for log in sights]
        with (
            workers_at_the_line("time_commands", writing) as writers,
            workers_at_the_line("read_known", reading) as readers,
        ):
            everyone = [*writers, *readers]
            for process in everyone:
                process.go()
            wait_for_commands(timings, everyone)
            began = time.monotonic()
            report = town.upkeep.rebuild()
            ended = time.monotonic()
            wait_for_commands(timings, everyone)
            stop.touch()
            for process in everyone:
                process.finish()
        assert report.differences >= events // EVENTS_PER_TASK // 3
        assert town.upkeep.verify().findings == ()
        assert_sights_are_of_the_history(town.backend.store, known, sights)
    print(f"\nrebuild of {report.events} events: {ended - began:.2f} s, {report.differences} differences")  # noqa: T201 - figures
    print(f"longest of {len(batches)} batches: {1_000 * max(batches):.1f} ms")  # noqa: T201 - figures
    waits = {kind: waits_of(kind, timings, began, ended) for kind in ("append", "command")}
    for kind, (without, during) in waits.items():
        print(f"{kind}s without: {shown(without)}\n{kind}s during:  {shown(during)}")  # noqa: T201 - figures
    # One in a hundred may be the machine's, which has fewer cores than there are processes here; of few appends, half.
    without, during = waits["append"]
    most = quantiles(during, n=100, method="inclusive")[98 if len(during) >= APPENDS_MANY else 49]
    assert most <= max(without) + max(batches)
    # One batch is far less than a quarter of all of them; a command that waits for the rebuild waits for more.
    without, during = waits["command"]
    assert max(during) < max(1.0, max(without) + (ended - began) / 4)


def timed_batches(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each batch that a rebuild of this process writes, from its question to its reply, from now on."""
    seconds: list[float] = []
    begun: list[float] = []
    begin, finish = Overwrite.begin, Overwrite.finish

    def timed_begin(overwrite: Overwrite, batch: WriteBatch, *, only_at_end: bool) -> bool:
        begun[:] = [time.monotonic()]
        return begin(overwrite, batch, only_at_end=only_at_end)

    def timed_finish(overwrite: Overwrite) -> int | None:
        written = finish(overwrite)
        seconds.append(time.monotonic() - begun[0])
        return written

    monkeypatch.setattr(Overwrite, "begin", timed_begin)
    monkeypatch.setattr(Overwrite, "finish", timed_finish)
    return seconds


def waits_of(kind: str, timings: list[Path], began: float, ended: float) -> tuple[list[float], list[float]]:
    """The seconds that appends or commands took outside and inside of a span of time."""
    lines = [line.split() for log in timings for line in log.read_text().splitlines()]
    found = [(float(at), float(seconds)) for name, at, seconds in lines if name == kind]
    during = [seconds for at, seconds in found if at < ended and at + seconds > began]
    return [seconds for at, seconds in found if at >= ended or at + seconds <= began], during


def wait_for_commands(timings: list[Path], everyone: list[WorkerProcess]) -> None:
    """Return once every writer has carried out some more commands."""
    counts = [count_lines(log) for log in timings]
    wait_until(
        lambda: (
            any(process.check() for process in everyone)
            or all(count_lines(log) >= count + COMMANDS_BEFORE for log, count in zip(timings, counts, strict=True))
        ),
        seconds_max=60,
    )


def assert_sights_are_of_the_history(store: EventStore, known: list[str], sights: list[Path]) -> None:
    """Every snapshot that a reader saw is what the task's events up to its version fold to."""
    histories = {task: store.history(task) for task in known}
    for log in sights:
        rounds, *snapshots = log.read_bytes().splitlines()
        assert int(rounds) > 0
        for snapshot in snapshots:
            fields = msgspec.json.decode(snapshot)
            state = fold(histories[fields["id"]][: fields["version"]])
            assert state is not None
            assert encode_snapshot(state) == snapshot


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def shown(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100, method="inclusive")
    figures = {"p50": cuts[49], "p99": cuts[98], "max": max(seconds)}
    return f"{len(seconds)}, " + ", ".join(f"{name} {1_000 * each:.1f} ms" for name, each in figures.items())
