"""Runs a program for a task: feeds its input, reads its output to the end, asks it to end, and kills it if it does not.

Memory is bounded. The program gets its own process group, so that a signal reaches whatever it started. Whatever it
leaves running in that group ends with it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import IO, Final

from msgspec import Struct

from town.agents.lifeline import Lifeline
from town.agents.output_tail import STDERR_BYTES_MAX, LastLine, Tail
from town.agents.run_log import RunLog

GRACE_SECONDS: Final = 10.0
"""How long a program that was asked to end may take, before it is killed."""
DRAIN_SECONDS_MAX: Final = 2.0
"""How long output is read after the program's end while a process that it left behind keeps it open."""
_TICK_SECONDS: Final = 0.1
_FIRST_TICK_SECONDS: Final = 0.001
_PIECE_BYTES: Final = 64 * 1024


class EndReason(StrEnum):
    """Why a program was asked to end."""

    STOPPED = "stopped"
    LOST = "lost"


class Ended(Struct, frozen=True):
    """How a program ended: its exit status (below 0: the signal), the end of its output, why it was asked to end.

    `was_killed` is true if it did not end in time.
    """

    status: int
    last_line: str | None
    complaint: str | None
    asked: EndReason | None
    was_killed: bool

    def words(self) -> str:
        """`exit status 3`, `ended by SIGKILL`."""
        if self.status >= 0:
            return f"exit status {self.status}"
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-self.status).name}"
        return f"ended by signal {-self.status}"


class Ending(Struct, frozen=True):
    """When to end a program early: `why` is called on every turn; `is_urgent` cuts the grace period short."""

    why: Callable[[], EndReason | None]
    is_urgent: Callable[[], bool]
    grace_seconds: float = GRACE_SECONDS


def start_program(command: Sequence[str], *, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the program in its own process group. OSError, ValueError: the system could not start it."""
    return subprocess.Popen(  # noqa: S603 - no shell; the command is the person's
        command,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )


def follow_program(
    process: subprocess.Popen[bytes], *, given: bytes, log: RunLog, ending: Ending, lifeline: Lifeline
) -> Ended:
    """Follow it to its end, with `given` on its input and its output in `log`."""
    lifeline.hold(process.pid)
    try:
        return _Following(process, given, log, ending).to_end()
    finally:
        lifeline.release()


class _Following:
    """One program while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], given: bytes, log: RunLog, ending: Ending) -> None:
        self._process = process
        self._given = memoryview(given)
        self._log = log
        self._ending = ending
        self._last_line = LastLine()
        self._complaint = Tail(bytes_max=STDERR_BYTES_MAX)
        self._selector = selectors.DefaultSelector()
        self._tick_seconds = _FIRST_TICK_SECONDS
        self._asked: EndReason | None = None
        self._kill_at = 0.0
        self._was_killed = False

    def to_end(self) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            self._watch(self._process.stdin, selectors.EVENT_WRITE, lambda _: self._feed())
            self._watch(self._process.stdout, selectors.EVENT_READ, self._last_line.feed)
            self._watch(self._process.stderr, selectors.EVENT_READ, self._complaint.feed)
            while not self._has_ended():
                self._turn()
                self._end_early()
            # Its process id stays reserved until we wait for it, so no other group can have this id.
            self._signal(signal.SIGKILL)
            self._drain()
        except BaseException:
            self._signal(signal.SIGKILL)
            raise
        finally:
            self._close()
            status = self._process.wait()
        return Ended(
            status, self._last_line.text(), self._complaint.text(), asked=self._asked, was_killed=self._was_killed
        )

    def _turn(self) -> None:
        """Wait for something to read or write, and do it."""
        if not self._selector.get_map():
            # It closed its output and either goes on or is about to end.
            time.sleep(self._tick_seconds)
            self._tick_seconds = min(self._tick_seconds * 2, _TICK_SECONDS)
            return
        for key, _ in self._selector.select(_TICK_SECONDS):
            self._serve(key)

    def _serve(self, key: selectors.SelectorKey) -> None:
        if key.events == selectors.EVENT_WRITE:
            self._feed()
            return
        try:
            piece = os.read(key.fd, _PIECE_BYTES)
        except BlockingIOError:
            return
        if not piece:
            self._forget(key.fileobj)  # type: ignore[arg-type]  # what `_watch` was given
            return
        self._log.write(piece)
        key.data(piece)

    def _feed(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            self._given = self._given[os.write(stdin.fileno(), self._given) :] if self._given else self._given
        except BlockingIOError:
            return
        except OSError:
            # It does not read its input. That is allowed.
            self._given = self._given[:0]
        if not self._given:
            self._forget(stdin)

    def _end_early(self) -> None:
        """Ask it to end if there is a reason; kill it if it does not end in time."""
        if self._asked is None:
            self._asked = self._ending.why()
            if self._asked is not None:
                self._kill_at = time.monotonic() + self._ending.grace_seconds
                self._signal(signal.SIGTERM)
        elif not self._was_killed and (time.monotonic() > self._kill_at or self._ending.is_urgent()):
            self._was_killed = True
            self._signal(signal.SIGKILL)

    def _drain(self) -> None:
        """Read the output that is still in the pipe."""
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._forget(self._process.stdin)
        while self._selector.get_map() and time.monotonic() < deadline:
            for key, _ in self._selector.select(_TICK_SECONDS):
                self._serve(key)

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):
            # macOS before Python 3.13.
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal(self, number: signal.Signals) -> None:
        # macOS raises PermissionError for a group whose processes have all ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _watch(self, stream: IO[bytes], events: int, take: Callable[[bytes], None]) -> None:
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, events, take)

    def _forget(self, stream: IO[bytes]) -> None:
        self._selector.unregister(stream)
        stream.close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._selector.close()
