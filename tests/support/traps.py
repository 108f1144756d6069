"""Traps for a hostile folder: what must not run, must not be connected to, and must not change."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self


class Listener:
    """A socket that somebody would like to be connected to; `count` says how often it was."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._listening.setblocking(False)

    @classmethod
    def on_port(cls) -> Self:
        return cls(socket.create_server(("127.0.0.1", 0)))

    @classmethod
    def on_socket(cls, path: Path) -> Self:
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(path))
        except OSError:
            listening.close()
            raise
        listening.listen()
        return cls(listening)

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def count(self) -> int:
        """How many connections wait to be taken; taking them ends them."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
                taken += 1
        return taken

    def close(self) -> None:
        self._listening.close()


def make_program(path: Path, marker: Path) -> None:
    """A program at `path` that leaves `marker` when it runs."""
    path.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    path.chmod(0o755)


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything below the folder, by name, with what it holds or leads to: equal before and after means untouched."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            yield str(path), f"link {path.readlink()}"
        elif path.is_file():
            yield str(path), hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            yield str(path), oct(path.lstat().st_mode)
