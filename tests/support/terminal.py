"""Runs `tt` on a terminal, as people do."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Final

_BETWEEN: Final = "\0"
_ONE_AFTER_ANOTHER: Final = """
import json, os, sys
from cli.main import main

for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as ended:
        assert not ended.code, (arguments, ended.code)
    sys.stdout.flush()
    # Past the gate, which would write it out.
    os.write(1, bytes(1))
"""


def on_terminal(
    arguments: list[str], folder: Path, environment: dict[str, str], *, typed: bytes = b"", code: int = 0
) -> str:
    """What `tt` writes to a terminal of 100 columns, on which somebody has typed; it ends with `code`."""
    return _written(["-m", "cli.main", *arguments], folder, environment, typed=typed, code=code)


def each_on_terminal(commands: list[list[str]], folder: Path, environment: dict[str, str]) -> list[str]:
    """The same of several commands, one after another in one process."""
    written = _written(["-c", _ONE_AFTER_ANOTHER, json.dumps(commands)], folder, environment)
    return written.split(_BETWEEN)[:-1]


def _written(
    program: list[str], folder: Path, environment: dict[str, str], *, typed: bytes = b"", code: int = 0
) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *program],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed)
    written = b""
    try:
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65_536)
            except OSError:
                break
            if not part:
                break
            written += part
    finally:
        os.close(ours)
        process.wait(timeout=60)
    assert process.returncode == code, written
    return written.decode()
