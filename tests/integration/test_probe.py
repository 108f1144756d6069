"""A program that a bisection runs ends with its run, whenever somebody interrupts."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from town import Probe

Started = list[subprocess.Popen[bytes]]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Ctrl-C comes when the program runs already and its start has not returned yet."""
    start, started = subprocess.Popen, Started()

    def start_and_interrupt(*words: Any, **how: Any) -> subprocess.Popen[bytes]:
        started.append(start(*words, **how))
        signal.raise_signal(signal.SIGINT)
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start_and_interrupt)
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_program_that_was_just_started_ends_with_an_interrupt(interrupted: Started) -> None:
    """The interrupt waits until the program is known, and then ends it; Ctrl-C works as before afterwards."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Probe(["sleep", "600"]).look(b"", number=1)
    assert [process.poll() for process in interrupted] == [-signal.SIGKILL]
    assert signal.getsignal(signal.SIGINT) is handler
