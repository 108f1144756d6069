"""A shell on a terminal, in which somebody types and presses Tab."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

SECONDS_MAX: Final = 60.0
_PROMPT: Final = "READY> "
_CLEAR: Final = b"\x15"
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])|\x07|\r")


class TypingShell:
    """An interactive shell whose prompt is READY> , without the user's own settings."""

    def __init__(self, program: Sequence[str], folder: Path, *, set_up: str, env: Mapping[str, str] = {}) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [*program],
            cwd=folder,
            env={**os.environ, "PS1": _PROMPT, "TERM": "dumb", "COLUMNS": "100", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._read_until(_PROMPT)
        self.run(set_up)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        self._process.kill()
        self._process.wait(timeout=SECONDS_MAX)

    def run(self, command: str) -> str:
        """What a command prints."""
        os.write(self._ours, f"{command}\n".encode())
        return self._read_until(_PROMPT)

    def complete(self, begun: str) -> str:
        """The line after Tab, up to where the cursor is."""
        return self._after(f"{begun}\t").rpartition(_PROMPT)[2]

    def offers(self, begun: str) -> str:
        """What is listed after Tab was pressed twice."""
        return self._after(f"{begun}\t\t")

    def _after(self, keys: str) -> str:
        """What is written after these keys. Then a comment sign is typed, whose echo ends it; the line is never run."""
        os.write(self._ours, keys.encode() + b"#")
        written = self._read_until("#")
        os.write(self._ours, _CLEAR)
        return written.removesuffix("#")

    def _read_until(self, wanted: str) -> str:
        written = b""
        while select.select([self._ours], [], [], SECONDS_MAX)[0]:
            written += os.read(self._ours, 65_536)
            text = _ESCAPES.sub("", written.decode(errors="replace"))
            if wanted in text:
                return text
        raise AssertionError(f"{wanted!r} never came: {written!r}")
