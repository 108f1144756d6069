"""What every benchmark needs: a town of a known shape on a durable server of its own, a clock, and lines of figures."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec
import redis

from ledger import Event, EventStore, Keys, NewEvent, TaskAssigned, TaskCompleted, TaskCreated, TaskStarted
from town.folder.settings import SOCKET_FILE
from town.server.own_server import EmbeddedServer

TOWN: Final = "bench"
EVENTS_PER_TASK: Final = 4
RUNS: Final = 3
_TASKS_PER_APPEND: Final = 2_500
_ROOT: Final = Path(__file__).parents[2]
_TAGS: Final = ("backend", "docs", "urgent")

Figures = dict[str, float]
Work = Callable[[], object]


class Timing(NamedTuple):
    """How long something took: on the clock, and on the processor for this process."""

    wall: float
    cpu: float


class Bench(NamedTuple):
    """A server and a town on it."""

    folder: Path
    client: redis.Redis
    keys: Keys
    store: EventStore

    def connect(self) -> redis.Redis:
        return connect(self.folder / SOCKET_FILE)

    def server_cpu(self) -> float:
        """Seconds that the server was on the processor until now."""
        used = cast("dict[str, float]", self.client.info("cpu"))
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def drop_projections(self) -> None:
        """Delete snapshots, views and checkpoints; only the ledger and its heads stay."""
        kept = {self.keys.ledger.encode(), self.keys.heads.encode()}
        names = [
            name for name in self.client.scan_iter(match=f"{self.keys.prefix}:*", count=10_000) if name not in kept
        ]
        for start in range(0, len(names), 10_000):
            self.client.unlink(*names[start : start + 10_000])


def connect(socket: Path | str) -> redis.Redis:
    """A plain client without retries, as towns have."""
    return redis.Redis(unix_socket_path=str(socket), socket_timeout=600)


@contextmanager
def a_bench() -> Iterator[Bench]:
    """An empty town on an embedded server, durable as any town's, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tt-bench-") as name:
        server = EmbeddedServer(Path(name))
        server.start()
        try:
            with connect(Path(name) / SOCKET_FILE) as client:
                keys = Keys(TOWN)
                yield Bench(Path(name), client, keys, EventStore(client, keys))
        finally:
            server.stop()


def task_name(number: int) -> str:
    """The id of task `number`: its digits are spread, as those of real ids are."""
    mixed = (number * 0x9E3779B97F4A7C15) & (1 << 64) - 1
    return f"{mixed >> 32:08x}-{mixed >> 16 & 0xFFFF:04x}-4{mixed >> 4 & 0xFFF:03x}-8{mixed & 0xFFF:03x}-{number:012x}"


def fill(
    store: EventStore, *, tasks: int, first: int = 0, together: int = _TASKS_PER_APPEND, each: int = EVENTS_PER_TASK
) -> int:
    """Append created, assigned, started and completed of `tasks` tasks, `together` tasks at a time; how many events.

    Within one append all tasks are created first, then all are assigned, and so on. `each` task gets so many of its events.
    """
    for start in range(first, first + tasks, together):
        numbers = range(start, min(start + together, first + tasks))
        events = [
            NewEvent(task=task_name(number), version=version, actor="bench", command=f"c-{number}", data=fact)
            for version in range(1, each + 1)
            for number in numbers
            for fact in [_fact(number, version)]
        ]
        store.append(events, {task_name(number): 0 for number in numbers})
    return tasks * each


def _fact(number: int, version: int) -> Event:
    match version:
        case 1:
            return TaskCreated(f"Implement feature {number} of the plan", tags=(_TAGS[number % len(_TAGS)],))
        case 2:
            return TaskAssigned(f"worker-{number % 20}")
        case 3:
            return TaskStarted()
        case _:
            return TaskCompleted(result="Done, and all tests pass")


def timed(work: Work) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    timing = Timing(time.perf_counter() - wall, time.process_time() - cpu)
    # To give back the memory of a million tasks takes its time too, and is no part of the work.
    del made
    return timing


def medians(runs: int, works: Mapping[str, Work], *, before_each: Work | None = None) -> dict[str, Timing]:
    """The median of `runs` of each work; they take turns, so that a busy machine is busy for all of them."""
    timings: dict[str, list[Timing]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            if before_each is not None:
                before_each()
            timings[name].append(timed(work))
    return {name: median(found) for name, found in timings.items()}


def median(timings: Sequence[Timing]) -> Timing:
    return Timing(statistics.median(each.wall for each in timings), statistics.median(each.cpu for each in timings))


def rates(name: str, timing: Timing, events: int) -> Figures:
    """Events per second, by the clock and by this process's time on the processor."""
    return {f"{name} events/s": events / timing.wall, f"{name} events/s of CPU": events / timing.cpu}


def peak_kb(module: str, *arguments: object) -> int:
    """The most memory that `python -m MODULE ARGUMENTS` ever held; it prints that with `say_peak` at its end."""
    command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    return int(ran.stdout.split()[-1])


def say_peak() -> None:
    """Print this process's peak memory in kB: VmHWM, because ru_maxrss of a child begins with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    say(peak)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(run: Callable[[int, int], Figures], *, events: int, arguments: Sequence[str] | None = None) -> None:
    """`--events`, `--runs` and `--json` of every benchmark; `run(events, runs)` gives the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    figures = run(given.events, given.runs)
    if given.json:
        say(msgspec.json.encode(figures).decode())
        return
    width = max(map(len, figures))
    for name, figure in figures.items():
        say(f"{name:<{width}}  {figure:>14,.2f}" if abs(figure) < 1_000 else f"{name:<{width}}  {figure:>14,.0f}")
