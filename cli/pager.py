"""The pager that long answers go through on a terminal, chosen as git does: $TT_PAGER, then $PAGER, then less.

The user's own environment is trusted, as git trusts it; no file of a town is asked. What a pager gets has passed the gate, so
its control characters are our own colours.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shutil import which
from typing import Final

from cli.gate import stdout_to_pager
from cli.output import flush, is_terminal, warn

_VARIABLES: Final = ("TT_PAGER", "PAGER")
_LESS_OPTIONS: Final = "FRX"
"""Leave at once if all fits the screen, show colours, do not clear the screen: what git gives less."""
_NO_PAGER: Final = frozenset({"", "cat"})
_SHELL_CHARACTERS: Final = frozenset("|&;<>()$`\\\"'*?[]#~=%{}!\n")


@contextmanager
def paged(*, is_wanted: bool = True) -> Iterator[None]:
    """Inside, what goes to stdout goes through the pager, if stdout is a terminal and there is a pager."""
    command = pager_command() if is_wanted and is_terminal() else None
    if command is None:
        yield
        return
    flush()
    # A shell runs it, as it runs git's pager: the variable may hold options and pipes. They are the user's own words.
    pager = subprocess.Popen(  # noqa: S602
        command, shell=True, stdin=subprocess.PIPE, env={"LESS": _LESS_OPTIONS, "LV": "-c", **os.environ}
    )
    assert pager.stdin is not None
    try:
        with stdout_to_pager(pager.stdin.fileno()):
            yield
    finally:
        pager.stdin.close()
        _wait(pager)


def pager_command() -> str | None:
    """The words of the pager, for a shell; None if the user wants none or there is none."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    chosen = next((os.environ[name] for name in _VARIABLES if name in os.environ), None)
    if chosen is None:
        return "less" if which("less") else None
    if chosen.strip() in _NO_PAGER:
        return None
    # Whether a shell's words can be run, only the shell knows.
    if not _SHELL_CHARACTERS & set(chosen) and which(shlex.split(chosen)[0]) is None:
        warn(f"There is no pager {chosen.strip()!r} on PATH, so this is shown without one.")
        return None
    return chosen


def _wait(pager: subprocess.Popen[bytes]) -> None:
    """Wait until the user leaves the pager. Ctrl-C is for the pager, which stays."""
    while True:
        with suppress(KeyboardInterrupt):
            pager.wait()
            return
