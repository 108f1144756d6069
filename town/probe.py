"""Probe: a person's program that is given a board and tells by its exit status whether it is good: what a bisection looks with.

It runs in a process group of its own, which ends with it. What it prints is dropped, but for the end of its stderr.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from projections import Verdict
from town.errors import ProbeFailedError, ProgramNotFoundError, words_of_system

SKIP_STATUS: Final = 125
_BAD_STATUS_MAX: Final = 124
_COMPLAINT_BYTES_MAX: Final = 4_096


class Look(Struct, frozen=True):
    """What a look told, and by which exit status; `complaint` is the last line that the program said on stderr."""

    verdict: Verdict
    status: int
    complaint: str | None


class Probe:
    """Looks at boards by a program."""

    def __init__(self, command: Sequence[str]) -> None:
        """ProgramNotFoundError."""
        assert command, "the command line has a program"
        if shutil.which(command[0]) is None:
            raise ProgramNotFoundError(command[0])
        self._command = list(command)

    def look(self, board: bytes, *, number: int) -> Look:
        """What the program says of the board after event `number`, which it gets on stdin. ProbeFailedError."""
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; the command is the person's
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise self._failure(f"it could not be started: {words_of_system(error)}", number) from error
        try:
            # A program that does not read all of it may have seen enough.
            _, said = process.communicate(board)
        finally:
            # What it left running, and itself where somebody interrupts.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        complaint = _last_line(said)
        status = process.returncode
        if status == 0:
            return Look(Verdict.GOOD, status, complaint)
        if status == SKIP_STATUS:
            return Look(Verdict.SKIPPED, status, complaint)
        if 0 < status <= _BAD_STATUS_MAX:
            return Look(Verdict.BAD, status, complaint)
        raise self._failure(_words(status), number, complaint)

    def _failure(self, problem: str, number: int, complaint: str | None = None) -> ProbeFailedError:
        return ProbeFailedError(self._command[0], problem, number=number, complaint=complaint)


def _words(status: int) -> str:
    """How a program ended that told nothing."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"
    meanings = {
        126: ", which a shell says of what is no program",
        127: ", which a shell says of a program that is not there",
    }
    return f"it ended with exit status {status}{meanings.get(status, '')}"


def _last_line(said: bytes) -> str | None:
    lines = said[-_COMPLAINT_BYTES_MAX:].decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else None
