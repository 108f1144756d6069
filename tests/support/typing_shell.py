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
WAIT_SECONDS: Final = 3.0
WAITS_MAX: Final = 200
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

    def assert_shows(self, keys: str, wanted: str) -> None:
        """Type these keys, and Tab again where nothing comes, until the terminal shows `wanted`. AssertionError."""
        os.write(self._ours, keys.encode())
        self._read_until(wanted, again=b"\t")
        os.write(self._ours, _CLEAR)

    def _read_until(self, wanted: str, *, again: bytes = b"") -> str:
        """What is written until `wanted` is there; `again` is typed whenever nothing more comes."""
        written = b""
        for _ in range(WAITS_MAX):
            if not select.select([self._ours], [], [], WAIT_SECONDS)[0]:
                os.write(self._ours, again)
                continue
            written += os.read(self._ours, 65_536)
            text = _seen(written)
            if wanted in text:
                return text
        raise AssertionError(f"{wanted!r} never came: {written!r}")


def _seen(written: bytes) -> str:
    """The text without what moves the cursor; a backspace takes a character away."""
    seen: list[str] = []
    for char in _ESCAPES.sub("", written.decode(errors="replace")):
        if char == "\b":
            del seen[-1:]
        else:
            seen.append(char)
    return "".join(seen)
