"""Runs `tt` on a terminal, as people do."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path


def on_terminal(
    arguments: list[str], folder: Path, environment: dict[str, str], *, typed: bytes = b"", code: int = 0
) -> str:
    """What `tt` writes to a terminal of 100 columns, on which somebody has typed; it ends with `code`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
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
