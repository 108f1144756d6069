"""What `tt` does where its output cannot be written: the disk is full, or the reader has gone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands.work import _Listener
from tests.support.tt import Tt
from town import Runner

FULL = Path("/dev/full")
PROCESS_SECONDS_MAX = 60
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is full")


def run_into(
    out: Path, *arguments: str, folder: Path, is_unbuffered: bool, is_err_full: bool = False
) -> subprocess.CompletedProcess[str]:
    """`tt ARGUMENTS` with its stdout in `out`."""
    with out.open("w") as stdout:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1" if is_unbuffered else ""},
            stdout=stdout,
            stderr=stdout if is_err_full else subprocess.PIPE,
            text=True,
            timeout=PROCESS_SECONDS_MAX,
            check=False,
        )


@pytest.mark.parametrize("is_unbuffered", [False, True])
@pytest.mark.parametrize("arguments", [["tasks"], ["task", "list", "--json"], ["assign", "ada", "x"], ["--help"]])
def test_output_on_a_full_disk_is_one_clear_line(town: Path, arguments: list[str], is_unbuffered: bool) -> None:
    """Exit code 74, and no traceback. It once was "Something unexpected" and 70."""
    ran = run_into(FULL, *arguments, folder=town, is_unbuffered=is_unbuffered)
    assert ran.returncode == 74
    assert ran.stderr.startswith("Error: The output cannot be written: No space left on device.")
    assert ran.stderr.count("\n") == 1


def test_nothing_is_said_where_nothing_can_be(town: Path) -> None:
    """With stderr on the full disk too, the exit code is all that is left."""
    ran = run_into(FULL, "tasks", folder=town, is_unbuffered=False, is_err_full=True)
    assert ran.returncode == 74


@pytest.mark.parametrize("is_unbuffered", [False, True])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_runner_goes_on_where_its_output_takes_nothing(
    tt: Tt, town: Path, options: list[str], is_unbuffered: bool
) -> None:
    """Its task is done and written down all the same. It once died between start and program, and the task stayed running."""
    tt("assign", "ada", "Paint")
    ran = run_into(
        FULL, "work", "ada", "--once", *options, "--", "echo", "green", folder=town, is_unbuffered=is_unbuffered
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    [task] = tt("task", "list", "--json").json["tasks"]
    assert (task["state"], task["result"]) == ("completed", "green")


def test_runner_goes_on_where_its_terminal_is_gone(tt: Tt, town: Path) -> None:
    """Writing to it fails with EIO; both of the runner's streams are on it."""
    tt("assign", "ada", "Paint")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "work", "ada", "--once", "--", "echo", "green"],
        cwd=town,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.close(ours)
    assert process.wait(PROCESS_SECONDS_MAX) == 0
    [task] = tt("task", "list", "--json").json["tasks"]
    assert (task["state"], task["result"]) == ("completed", "green")


def test_runner_whose_warnings_take_nothing_goes_on(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, or a closed pipe, on stderr; a terminal library would end the program at the pipe."""
    tt("assign", "ada", "Paint")
    ours, theirs = os.pipe()
    os.close(ours)
    with FULL.open("w") as full, os.fdopen(theirs, "w") as pipe:
        for stream in (full, pipe):
            monkeypatch.setattr("sys.stderr", stream)
            for _ in range(3):
                _Listener().warn("the server is away")
        assert Runner(town, "ada", ["true"], listener=_Listener()).run(once=True) is not None
