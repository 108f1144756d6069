"""Runners for tests: `tt work` as a process whose life a test holds, and agents in threads of a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.support.waiting import wait_until
from town import Runner, Stop, Town

END_SECONDS_MAX: Final = 60.0


class RunnerProcess:
    """One `tt work`; its output lies in files, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err
        self.peak_rss_bytes = 0

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, *, seconds_max: float = END_SECONDS_MAX) -> int:
        """Its exit code once it has ended; afterwards its peak memory is known."""
        ended: list[int] = []

        def look() -> bool:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.peak_rss_bytes = usage.ru_maxrss * 1_024
                self.process.returncode = os.waitstatus_to_exitcode(status)
                ended.append(self.process.returncode)
            return bool(ended)

        wait_until(look, seconds_max=seconds_max)
        return ended[0]


TT: Final = ("-m", "cli.main")
TT_OF_QUICK_BEATS: Final = (
    "-c",
    "from town.runs import heartbeat; heartbeat.BEAT_SECONDS /= 10; from cli.main import main; main()",
)
"""`tt` whose runs look at their task ten times as often, for tests of what a run does at its next beat."""


@contextmanager
def running_runner(
    *arguments: str,
    folder: Path,
    logs: Path,
    name: str = "runner",
    env: Mapping[str, str] | None = None,
    tt: Sequence[str] = TT,
) -> Iterator[RunnerProcess]:
    """`tt work ARGUMENTS` in `folder`; killed at the end if it still runs."""
    out, err = logs / f"{name}.out", logs / f"{name}.err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            [sys.executable, *tt, "work", *arguments],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
        )
    try:
        yield RunnerProcess(process, out, err)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(END_SECONDS_MAX)


def work_in_threads(folder: str, agents: str, stop_file: str, done_file: str) -> None:
    """Runners for several agents, a thread each, until the file `stop_file` is there. Each task's id goes to `done_file`."""
    stop = Stop()
    command = program_that_writes_ids(Path(done_file))
    threads = [
        threading.Thread(target=Runner(folder, agent, command, stop=stop).run, daemon=True)
        for agent in agents.split(",")
    ]
    for thread in threads:
        thread.start()
    wait_until(Path(stop_file).exists, seconds_max=600)
    stop.ask()
    for thread in threads:
        thread.join(END_SECONDS_MAX)
        assert not thread.is_alive()


def reclaim_one(folder: str, person: str) -> None:
    """Put what is lost back into the backlog."""
    with Town.open(folder, actor=person) as town:
        town.runs.reclaim()


def program_that_writes_ids(done: Path) -> Sequence[str]:
    """A program that appends its task's id to `done`, and prints a result."""
    return ["sh", "-c", 'echo "$TT_TASK" >> "$1"; echo "done by $TT_AGENT"', "sh", str(done)]
