"""The suite passes wherever it is started: under `nohup`, and in the background of a shell."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.signals import heed_signals


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_children_meet_signals_that_the_suite_was_started_without(number: signal.Signals) -> None:
    """The suite itself goes on without them.

    The bug looked like this: under `nohup`, tests of SIGHUP waited for processes that never got it.
    """
    before = signal.signal(number, signal.SIG_IGN)
    try:
        heed_signals()
        signal.raise_signal(number)
        ended = subprocess.run(
            [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)})"],
            check=False,
            stderr=subprocess.DEVNULL,
        )
    finally:
        signal.signal(number, before)
    assert ended.returncode == -number
