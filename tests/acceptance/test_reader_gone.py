"""What `tt` does where the reader of its output has gone, as `head` does when it has had enough."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.reader import is_reader_gone, until_reader_goes
from tests.support.tt import PROCESS_SECONDS_MAX, Tt, start_process


def run_unread(*arguments: str, folder: Path, is_unbuffered: bool = False, is_err_too: bool = False) -> tuple[int, str]:
    """`tt ARGUMENTS` with its stdout in a pipe that nobody reads; its exit code, and what it says on stderr."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-m", "cli.main", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1" if is_unbuffered else ""},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs if is_err_too else subprocess.PIPE,
            text=True,
            timeout=PROCESS_SECONDS_MAX,
            check=False,
        )
    finally:
        os.close(theirs)
    return ran.returncode, ran.stderr or ""


@pytest.mark.parametrize(
    ("arguments", "is_unbuffered"),
    [
        (["events"], False),
        (["events", "--json"], True),
        (["tasks"], False),
        (["doctor"], True),
        (["assign", "ada", "Paint"], False),
        (["--help"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_output_that_nobody_reads_is_no_error(tt: Tt, town: Path, arguments: list[str], is_unbuffered: bool) -> None:
    """Exit code 0 and not a word: it once was 1, so that a script with pipefail ended."""
    tt("assign", "ada", "Paint")
    assert run_unread(*arguments, folder=town, is_unbuffered=is_unbuffered) == (0, "")


def test_command_that_is_refused_keeps_its_code_where_nobody_reads(town: Path) -> None:
    """A reader that goes does not make a failure a success, also where it read both streams."""
    assert run_unread("task", "show", "nobody", folder=town)[0] == 1
    assert run_unread("task", "show", "nobody", folder=town, is_err_too=True)[0] == 1


@pytest.mark.parametrize("is_gone", [True, False])
def test_reader_that_is_gone_stays_gone_whatever_is_written(is_gone: bool) -> None:
    """What was dropped does not hide it, so that a command which goes on can end."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as pipe:
        stream = until_reader_goes(pipe)
        if is_gone:
            os.close(ours)
        for _ in range(3):
            assert is_reader_gone(stream) is is_gone
            print("a line", file=stream, flush=True)
    if not is_gone:
        os.close(ours)


@pytest.mark.parametrize("options", [[], ["--json", "--task", "shed"]])
def test_following_ends_when_its_reader_is_gone_though_nothing_happens(tt: Tt, town: Path, options: list[str]) -> None:
    """`tt events --follow | head -1` once stayed until the next event came."""
    tt("backlog", "add", "Paint", "--alias", "shed")
    with start_process("events", "--count", "1", "--follow", *options, folder=town) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "created" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(PROCESS_SECONDS_MAX) == 0
        assert process.stderr.read() == ""
