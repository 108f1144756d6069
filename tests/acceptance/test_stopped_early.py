"""Stop signals that come while `tt` is still being imported, as those of a runner that is stopped may."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tt import PROCESS_SECONDS_MAX, Tt
from town.server.own_server import EmbeddedServer

_STARTED_AND_TOLD = """
import os, sys

class Teller:
    @staticmethod
    def find_spec(name, *_):
        if name == "cli.main":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Teller)
from cli.start import main
main()
"""
"""`tt`, which gets a signal when it is about to import all that it needs."""


def run_stopped(number: signal.Signals, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", _STARTED_AND_TOLD.format(number=int(number)), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS_MAX,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["projector"], ["work", "ada", "--", "true"]], ids=lambda value: value[0])
def test_worker_stopped_while_it_starts_ends_as_one_that_runs(
    tt: Tt, town: Path, arguments: list[str], number: signal.Signals
) -> None:
    """Exit code 0, not a word, no task touched, and no server started for it. It died of the signal, or with a traceback."""
    tt("assign", "ada", "Paint")
    EmbeddedServer(town).stop()
    ran = run_stopped(number, *arguments, folder=town)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert not EmbeddedServer(town).is_running()
    assert tt("task", "list", "--json").json["tasks"][0]["state"] == "assigned"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_command_stopped_while_it_starts_ends_without_a_traceback(
    tt: Tt, town: Path, number: signal.Signals, status: int
) -> None:
    """It does nothing, and dies of the signal as it would have later."""
    ran = run_stopped(number, "assign", "ada", "Paint", folder=town)
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (status, "", "")
    assert tt("tasks", "--json").code == 0
    assert tt("task", "list", "--json").json["total"] == 0
