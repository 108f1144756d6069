"""A system that refuses one change, whichever is wanted: the nth file, folder, link, name or write of this process."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

_CHANGES: Final = frozenset({"os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate", "subprocess.Popen"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_refused: list[int] = []
"""How many changes are still let through; empty where none is refused."""
_hooked: list[bool] = []


@contextmanager
def refusing(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Inside, the change of that number from 0 fails as on a full disk; the list then holds what it was."""
    if not _hooked:
        # It cannot be taken away again, so there is one for all.
        sys.addaudithook(_look)
        _hooked.append(True)
    _seen.clear()
    _refused[:] = [number]
    with monkeypatch.context() as patch:
        for name in ("write", "fsync", "ftruncate"):
            patch.setattr(os, name, _refusable(getattr(os, name), f"os.{name}"))
        try:
            yield _seen
        finally:
            _refused.clear()


_seen: list[str] = []


def _refusable(call: Any, name: str) -> Any:
    def called(*arguments: Any, **options: Any) -> Any:
        _count(name)
        return call(*arguments, **options)

    return called


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _refused:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and isinstance(flags, int) and flags & _WRITING and path != os.devnull:
            _count(f"open {os.fsdecode(path)}")
    elif event in _CHANGES:
        _count(f"{event} {arguments[0]!r}")


def _count(what: str) -> None:
    if not _refused:
        return
    if _refused[0] == 0:
        _refused.clear()
        _seen.append(what)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _refused[0] -= 1
