"""Whole processes of the commands that agents call all day, against `python -c pass`: `python -m tests.benchmarks.start_up`.

Instructions are counted by callgrind, where valgrind is installed: they have no noise. The processor time stands beside them.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from tests.benchmarks.measure import EVENTS_PER_TASK, Figures
from tests.benchmarks.measure import main as measure
from town import EmbeddedServer, Town

EVENTS = 400
NOTHING: Final = "python -c pass"
_COUNTING: Final = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
_COLLECTED: Final = re.compile(rb"Collected : (\d+)")
_TT: Final = ("-c", "from cli.start import main; main()")
_AGENTS: Final = 5


def run(events: int, runs: int) -> Figures:
    """How many times as much as nothing each command takes, by instructions and by processor time."""
    with tempfile.TemporaryDirectory(prefix="tt-bench-") as name, _home(Path(name) / "home"):
        folder = Path(name) / "town"
        folder.mkdir()
        try:
            with Town.init(folder, name="bench", actor="bench", is_registered=False) as town:
                tasks = [
                    town.create(f"Implement feature {number}", agent=f"worker-{number % _AGENTS}").task
                    for number in range(max(events // EVENTS_PER_TASK, 1))
                ]
            return _figures(_processes(tasks[0].id), folder, runs)
        finally:
            EmbeddedServer(folder).stop()


def _processes(task: str) -> dict[str, tuple[str, ...]]:
    """The arguments of Python for each; none of them leads to another answer when it is repeated, but for one more task."""
    return {
        NOTHING: ("-c", "pass"),
        "tt task show": (*_TT, "task", "show", task),
        "tt task start": (*_TT, "task", "start", task),
        "tt task history": (*_TT, "task", "history", task),
        "tt task list": (*_TT, "task", "list"),
        "tt tasks": (*_TT, "tasks"),
        "tt assign": (*_TT, "assign", "worker-1", "Write the release notes"),
    }


def _figures(processes: Mapping[str, Sequence[str]], folder: Path, runs: int) -> Figures:
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for arguments in processes.values():
        # Compiles what is not compiled yet.
        _cpu_seconds(arguments, folder)
    for _ in range(runs):
        for name, arguments in processes.items():
            seconds[name].append(_cpu_seconds(arguments, folder))
    cpu = {name: statistics.median(found) for name, found in seconds.items()}
    figures: Figures = {f"{NOTHING}, ms of CPU": cpu[NOTHING] * 1_000}
    if shutil.which(_COUNTING[0]):
        counted = {name: _instructions(arguments, folder) for name, arguments in processes.items()}
        figures[f"{NOTHING}, million instructions"] = counted[NOTHING] / 1e6
        figures |= {
            f"{name} / {NOTHING}": count / counted[NOTHING] for name, count in counted.items() if name != NOTHING
        }
    figures |= {f"{name} / {NOTHING} by CPU": each / cpu[NOTHING] for name, each in cpu.items() if name != NOTHING}
    return figures


def _cpu_seconds(arguments: Sequence[str], folder: Path) -> float:
    """The processor time of one process, from its start to its end. Source: wait4."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def _instructions(arguments: Sequence[str], folder: Path) -> int:
    """How many instructions one process carries out. Source: callgrind."""
    ran = subprocess.run(
        [*_COUNTING, sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    found = _COLLECTED.search(ran.stderr)
    assert found is not None
    return int(found[1])


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """A home of its own, so that the person's towns and settings are left alone, and compiled modules as an installation has."""
    folder.mkdir()
    with patch.dict(os.environ, {"HOME": str(folder)}):
        if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
            os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        yield


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=EVENTS, arguments=arguments)


if __name__ == "__main__":
    main()
