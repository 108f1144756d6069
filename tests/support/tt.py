"""Runs `tt`: in this process, which is quick, or as a process of its own, which is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest
import typer.main

from cli.main import main

PROCESS_SECONDS_MAX = 120

_command_of: Final = cache(typer.main.get_command)
"""Typer makes all commands anew each time it is called, which a process does once, and which takes longer than most of them."""


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tt = Callable[..., Ran]


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """`tt ARGUMENTS` in this process and folder."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended, patch("typer.main.get_command", _command_of):
        main(arguments)
    out, err = capsys.readouterr()
    code = ended.value.code
    return Ran(code if isinstance(code, int) else 0 if code is None else 1, out, err)


_AFTER: Final = "import runpy; runpy.run_module('cli.main', run_name='__main__', alter_sys=True)"


def start_process(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None, first: str = ""
) -> subprocess.Popen[str]:
    """`tt ARGUMENTS` as a process in `folder`. `first` is Python that sets a bound to what a test can wait for."""
    program = ["-c", f"{first}; {_AFTER}"] if first else ["-m", "cli.main"]
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_process(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Ran:
    """As `start_process`, to its end."""
    with start_process(*arguments, folder=folder, env=env) as process:
        out, err = process.communicate(timeout=PROCESS_SECONDS_MAX)
        return Ran(process.returncode, out, err)
