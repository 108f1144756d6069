"""Real processes for races: all wait at one line, then run at once; none outlives its test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_MODULE: Final = "tests.support.workers"
_FINISH_SECONDS_MAX: Final = 60.0
READY: Final = "ready"


class WorkerProcess:
    """One `python -m tests.support.workers <name> <argument> …`."""

    def __init__(self, name: str, arguments: Sequence[object]) -> None:
        command = [sys.executable, "-W", "error", "-m", _MODULE, name, *(str(argument) for argument in arguments)]
        self.process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_ready(self) -> None:
        """Return once the process has imported everything and waits at the line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line == READY, self.process.communicate()[1]

    def go(self) -> None:
        """Let it run."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def check(self) -> bool:
        """Whether it ended well; False while it runs, and a failure with its traceback where it failed."""
        if self.process.poll() is None:
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Wait for its end; fail with its traceback where it failed."""
        _, complaint = self.process.communicate(timeout=_FINISH_SECONDS_MAX)
        assert self.process.returncode == 0, complaint

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def workers_at_the_line(name: str, argument_lists: Sequence[Sequence[object]]) -> Iterator[list[WorkerProcess]]:
    """A process for each list of arguments, all ready to `go`; they are killed at the end if they still run."""
    workers: list[WorkerProcess] = []
    try:
        workers.extend(WorkerProcess(name, arguments) for arguments in argument_lists)
        for worker in workers:
            worker.wait_ready()
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def run_at_once(name: str, argument_lists: Sequence[Sequence[object]]) -> None:
    """Run a process for each list of arguments, all at the same moment."""
    with workers_at_the_line(name, argument_lists) as workers:
        for worker in workers:
            worker.go()
        for worker in workers:
            worker.finish()
