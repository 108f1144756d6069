"""Probe: a person's program that gets a board and says by its exit status whether it is good. A bisection looks with it.

It runs in a process group of its own, which ends with it. Its output is dropped, except the last line of its stderr.
Board and stderr are files and not pipes, so that a process which it leaves behind cannot hold the search up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Final

from msgspec import Struct

from projections import Verdict
from town.errors import ProbeFailedError, ProgramNotFoundError, words_of_system

SKIP_STATUS: Final = 125
_BAD_STATUS_MAX: Final = 124
_COMPLAINT_BYTES_MAX: Final = 4_096


class Look(Struct, frozen=True):
    """The verdict of one run and its exit status. `complaint` is the last line on the program's stderr."""

    verdict: Verdict
    status: int
    complaint: str | None


class Probe:
    """Looks at boards with a program."""

    def __init__(self, command: Sequence[str]) -> None:
        """ProgramNotFoundError."""
        assert command, "the command line has a program"
        if shutil.which(command[0]) is None:
            raise ProgramNotFoundError(command[0])
        self._command = list(command)

    def look(self, board: bytes, *, number: int) -> Look:
        """Give the program the board after event `number` on stdin. ProbeFailedError."""
        with contextlib.ExitStack() as files:
            process: subprocess.Popen[bytes] | None = None
            try:
                with _interrupt_held():
                    stdin, stderr = (files.enter_context(tempfile.TemporaryFile()) for _ in range(2))
                    stdin.write(board)
                    stdin.seek(0)
                    process = subprocess.Popen(  # noqa: S603 - no shell; the command is the person's
                        self._command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
                    )
                status = process.wait()
            except (OSError, ValueError) as error:
                raise self._failure(f"it could not be started: {words_of_system(error)}", number) from error
            finally:
                # The processes that it left behind, and itself if somebody interrupts.
                if process is not None:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            complaint = _last_line(stderr)
        if status == 0:
            return Look(Verdict.GOOD, status, complaint)
        if status == SKIP_STATUS:
            return Look(Verdict.SKIPPED, status, complaint)
        if 0 < status <= _BAD_STATUS_MAX:
            return Look(Verdict.BAD, status, complaint)
        raise self._failure(_words(status), number, complaint)

    def _failure(self, problem: str, number: int, complaint: str | None = None) -> ProbeFailedError:
        return ProbeFailedError(self._command[0], problem, number=number, complaint=complaint)


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Inside, Ctrl-C waits until the end. A program that runs before anybody knows its process would be left running."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


def _words(status: int) -> str:
    """How a program ended that did not judge the board."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"
    meanings = {
        126: ", a shell's sign of a file that is not a program",
        127: ", a shell's sign of a program that it cannot find",
    }
    return f"it ended with exit status {status}{meanings.get(status, '')}"


def _last_line(stderr: IO[bytes]) -> str | None:
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(size - _COMPLAINT_BYTES_MAX, 0))
    lines = stderr.read(_COMPLAINT_BYTES_MAX).decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else None
