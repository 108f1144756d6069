"""One shell in which a page's commands run, one after another, so that `cd` and variables last as they do for a reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, NamedTuple, Self
from uuid import uuid4

from tests.support.markdown import ROOT

COMMAND_SECONDS_MAX: Final = 60.0


class Outcome(NamedTuple):
    """What a command printed on stdout and stderr together, its exit code, and the folder it ended in."""

    lines: list[str]
    code: int
    folder: Path


class ShellSession:
    """A shell in `folder`; `tt` and `python` are those of the running interpreter, `scratch` is for a stand-in for `tt`."""

    def __init__(self, folder: Path, *, home: Path, scratch: Path) -> None:
        self._end = f"end-{uuid4().hex}"
        self._process = subprocess.Popen(
            ["sh"],
            cwd=folder,
            env=_environment(home=home, scratch=scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, command: str) -> Outcome:
        """Run a command of one or several lines. `$?` is the exit code of the command before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The status is kept across the marker, so that a page can show `echo $?`.
        ending = f'__code=$?; printf "\\n%s %s %s\\n" {self._end} "$__code" "$PWD"; (exit "$__code")'
        self._process.stdin.write(f"{{\n{command}\n}} </dev/null 2>&1\n{ending}\n")
        self._process.stdin.flush()
        timer = threading.Timer(COMMAND_SECONDS_MAX, self._process.kill)
        timer.start()
        try:
            return self._read(command)
        finally:
            timer.cancel()
            timer.join()

    def _read(self, command: str) -> Outcome:
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(self._end):
                _, code, folder = line.rstrip("\n").split(" ", 2)
                # The marker begins with a line break of its own, in case the command did not end its last line.
                return Outcome(lines[:-1] if lines[-1] == "" else lines, int(code), Path(folder))
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended, or {COMMAND_SECONDS_MAX:g} s passed, in: {command}")


def _environment(*, home: Path, scratch: Path) -> dict[str, str]:
    programs = Path(sys.executable).parent
    path = [str(programs), os.environ.get("PATH", os.defpath)]
    if not (programs / "tt").exists():
        stand_in = scratch / "tt"
        stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n', encoding="utf-8")
        stand_in.chmod(0o755)
        path.insert(0, str(scratch))
    kept = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "COLUMNS", "FORCE_COLOR"}}
    return kept | {
        "HOME": str(home),
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(ROOT),
        # Lines for people and warnings beside them come in the order in which they were said.
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "error",
        "TT_ACTOR": "alice",
        "TZ": "UTC",
    }
