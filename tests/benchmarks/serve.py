"""A page of running tasks from `tt serve`, asked for by several clients at once: `python -m tests.benchmarks.serve`.

The clients are sockets of one process on the same machine, each with one request under way. Three times: nothing changes; a writer changes a
task all the time; and each request is for another page, so that each answer is made for itself. Beside it, the same page in an open library with its
JSON, and an answer of the same server that asks no town.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ledger import State
from projections import TaskFilter
from shapes import moment_shape, tasks_shape
from tests.benchmarks.measure import EVENTS_PER_TASK, Figures, fill, timed
from tests.benchmarks.measure import main as measure
from tests.support.serving import Serving, serving
from tests.support.towns import end_server
from town import Town
from web.answers import encode
from web.kept_answers import KEPT_ANSWERS_MAX

EVENTS = 1_000_000
CLIENTS: Final = 4
PAGE: Final = 50
SHARE_RUNNING: Final = 50
"""One task of so many is running."""
ANSWERS: Final = 4_000
WARM_UP_ANSWERS: Final = 100
PATH: Final = f"/api/v1/tasks?state=running&limit={PAGE}"
PLAIN_PATH: Final = "/api/v1/towns"
WRITES_PER_SECOND: Final = 20
_SECONDS_MAX: Final = 60.0


def run(events: int, runs: int) -> Figures:
    """Answers a second and their times, the kinds taking turns."""
    tasks = events // EVENTS_PER_TASK
    found: dict[str, list[float]] = {}
    with a_town(tasks) as town, serving(town.folder) as served:
        answers = min(ANSWERS, events)
        other_pages = cycle([f"{PATH}&offset={offset}" for offset in range(KEPT_ANSWERS_MAX * 2)])
        for path in (PATH, PLAIN_PATH):
            ask(served, repeat(path), answers=WARM_UP_ANSWERS)
        for _ in range(runs):
            _note(found, "no change", *_asked(served, repeat(PATH), answers))
            with _changes(town):
                _note(found, "changes", *_asked(served, repeat(PATH), answers))
            _note(found, "each another page", *_asked(served, other_pages, answers // 4))
            _note(found, "no town asked", *_asked(served, repeat(PLAIN_PATH), answers))
            library = timed(lambda: [_page(town) for _ in range(answers // 10)])
            found.setdefault("library, ms a page", []).append(library.wall / (answers // 10) * 1_000)
    figures = {name: statistics.median(each) for name, each in found.items()}
    page = figures["library, ms a page"] / 1_000
    return (
        {"tasks": tasks, "clients": CLIENTS}
        | figures
        | {
            "no change / library": figures["no change, answers/s"] * page,
            "changes / library": figures["changes, answers/s"] * page,
        }
    )


@contextmanager
def a_town(tasks: int) -> Iterator[Town]:
    """A town of so many tasks, some of which are running, and none is left to project."""
    running = max(tasks // SHARE_RUNNING, 1)
    with TemporaryDirectory(prefix="tt-bench-") as name:
        folder = Path(name)
        try:
            with Town.init(folder, name="bench", is_registered=False) as town:
                fill(town.backend.store, tasks=tasks - running)
                fill(town.backend.store, tasks=running, first=tasks - running, each=EVENTS_PER_TASK - 1)
                town.upkeep.catch_up()
                yield town
        finally:
            end_server(folder)


def _page(town: Town) -> bytes:
    position = town.end()
    page = town.page(TaskFilter(state=State.RUNNING), limit=PAGE)
    return encode(tasks_shape(town, page.tasks, **moment_shape(position), total=page.total))


def _asked(served: Serving, paths: Iterator[str], answers: int) -> tuple[float, float, list[float]]:
    """Seconds by the clock, seconds of the server's processor, and the time of each answer."""
    cpu, began = _cpu_of(served.process.pid), time.perf_counter()
    times = ask(served, paths, answers=answers)
    return time.perf_counter() - began, _cpu_of(served.process.pid) - cpu, times


def _note(found: dict[str, list[float]], kind: str, seconds: float, cpu: float, times: list[float]) -> None:
    cuts = statistics.quantiles(times, n=100)
    for name, figure in (
        ("answers/s", len(times) / seconds),
        ("p50, ms", cuts[49] * 1_000),
        ("p99, ms", cuts[98] * 1_000),
        ("ms of the server's CPU", cpu / len(times) * 1_000),
    ):
        found.setdefault(f"{kind}, {name}", []).append(figure)


def _cpu_of(pid: int) -> float:
    """Seconds that a process was on the processor, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# --- clients ------------------------------------------------------------------------------------------------------------


class _Client:
    """A connection with one request under way."""

    def __init__(self, port: int, paths: Iterator[str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS_MAX)
        self._port = port
        self._paths = paths
        self.send()

    def send(self) -> None:
        self._began = time.perf_counter()
        self._content = b""
        self.socket.sendall(f"GET {next(self._paths)} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())

    def receive(self) -> float | None:
        """Take in what came; how long the answer took, once it is whole."""
        self._content += self.socket.recv(1 << 18)
        head, found, body = self._content.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return None
        assert head.startswith(b"HTTP/1.1 200"), head
        return time.perf_counter() - self._began


def ask(served: Serving, paths: Iterator[str], *, answers: int) -> list[float]:
    """The time of each answer: every client asks again as soon as it has one."""
    clients = [_Client(served.port, paths) for _ in range(CLIENTS)]
    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while len(times) < answers:
            ready = selector.select(_SECONDS_MAX)
            assert ready, "the server answers"
            for key, _ in ready:
                seconds = key.data.receive()
                if seconds is not None:
                    times.append(seconds)
                    key.data.send()
    for client in clients:
        client.socket.close()
    return times


@contextmanager
def _changes(town: Town) -> Iterator[None]:
    """Tasks are changed meanwhile, by a client of its own."""
    is_over = threading.Event()

    def write() -> None:
        with Town.open(town.folder, actor="writer") as other:
            task = other.create("Changes all the time", agent="writer").task.id
            number = 0
            while not is_over.wait(1 / WRITES_PER_SECOND):
                number += 1
                other.note(task, f"noted {number}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
