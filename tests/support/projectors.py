"""`tt projector` as processes: started, watched through their logs, signalled, and gone at the end whatever happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

import redis

from ledger import Keys
from tests.support.waiting import wait_until

END_SECONDS_MAX: Final = 30.0
LEASE: Final = "projector"
_METRICS_AT: Final = re.compile(r"(http://127\.0\.0\.1:\d+/metrics)")


class ProjectorProcess:
    """One `tt projector ARGUMENTS` in `folder`; its output goes to files in `logs`."""

    def __init__(self, *arguments: str, folder: Path, logs: Path, name: str = "projector") -> None:
        self._out, self._err = logs / f"{name}.out", logs / f"{name}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "projector", *arguments],
                cwd=folder,
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send a signal and wait for the end; returns how many seconds that took."""
        started = time.monotonic()
        self.send(number)
        self.wait()
        return time.monotonic() - started

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(timeout=END_SECONDS_MAX)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def metrics(self) -> dict[str, float]:
        """Its figures as Prometheus reads them: `name{labels}` -> value."""
        with urllib.request.urlopen(self.metrics_url()) as answer:
            lines = answer.read().decode().splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def metrics_url(self) -> str:
        """Where it says that its figures are."""
        wait_until(lambda: _METRICS_AT.search(self.err) or self.process.poll() is not None)
        found = _METRICS_AT.search(self.err)
        assert found is not None, self.err
        return found[1]


@contextmanager
def running_projector(*arguments: str, folder: Path, logs: Path, name: str = "projector") -> Iterator[ProjectorProcess]:
    """One that runs, until the end of the block at the latest."""
    projector = ProjectorProcess(*arguments, folder=folder, logs=logs, name=name)
    try:
        yield projector
    finally:
        projector.kill()


@contextmanager
def background_projectors(count: int, *, folder: Path, logs: Path) -> Iterator[list[ProjectorProcess]]:
    """`count` of them that follow the town in `folder`; at the end of the block each must still run, and ends well."""
    with ExitStack() as stack:
        projectors = [
            stack.enter_context(running_projector(folder=folder, logs=logs, name=f"background-{number}"))
            for number in range(count)
        ]
        yield projectors
        assert [projector.process.poll() for projector in projectors] == [None] * count, [
            projector.err for projector in projectors
        ]
        for projector in projectors:
            projector.end()
        assert [projector.wait() for projector in projectors] == [0] * count


def lease_holder(client: redis.Redis, keys: Keys) -> bytes | None:
    """Who has the lease on projecting the town."""
    return cast("bytes | None", client.get(keys.lease(LEASE)))


def wait_for_lease(client: redis.Redis, keys: Keys) -> bytes:
    """Return once somebody has the lease; who."""
    wait_until(lambda: lease_holder(client, keys))
    holder = lease_holder(client, keys)
    assert holder is not None
    return holder
