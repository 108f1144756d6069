"""Lifeline: ends the program of a runner that was killed. Otherwise it would run on while another runner does its task.

A shell reads from a pipe whose other end only the runner holds. However the runner ends, the system closes that end.
Then the shell kills the process group it last read from the pipe.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import Final, Self

_SHELL: Final = "/bin/sh"
_SCRIPT: Final = """
while read -r line; do group=$line; done
[ -n "$group" ] && kill -s KILL -- "-$group"
"""
_NOBODY: Final = ""


class Lifeline:
    """Holds one process group at a time, for as long as this process lives."""

    def __enter__(self) -> Self:
        self._shell: subprocess.Popen[str] | None = None
        # Without a shell, programs outlive a killed runner. Nothing else changes.
        with contextlib.suppress(OSError):
            self._shell = subprocess.Popen(  # noqa: S603 - a script of ours
                [_SHELL, "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                # Its own session: Ctrl-C must not end it before the program.
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        if self._shell is not None:
            with contextlib.suppress(OSError):
                self._shell.communicate()

    def hold(self, group: int) -> None:
        """Tie this process group to the runner's life."""
        self._tell(str(group))

    def release(self) -> None:
        """Untie the process group."""
        self._tell(_NOBODY)

    def _tell(self, words: str) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._shell.stdin.write(f"{words}\n")
                self._shell.stdin.flush()
