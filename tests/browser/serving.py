"""`tt serve` as a process, on a port of its own, for tests that look at it with a browser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.tt import start_process

STOP_SECONDS_MAX = 20


@contextmanager
def serving(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """The address of the served town, without the slash at its end. Port 0 is a free one."""
    process = start_process("serve", "--port", str(port), *options, folder=folder)
    try:
        yield _address(process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, line + process.communicate()[1]
    return "http://" + line.partition("http://")[2].split()[0].rstrip("/")
