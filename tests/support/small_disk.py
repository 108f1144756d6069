"""A disk of 2 MB in memory, which is soon full: mounted for a test, where this user may."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.towns import end_server

SIZE_BYTES: Final = 2 * 1024 * 1024
_FILLER: Final = "filler"
_BLOCK: Final = b"x" * 1024


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Inside, `place` is a disk of SIZE_BYTES; the test is skipped where it cannot be mounted."""
    place.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=700", "tmpfs", str(place))
    if mounted is not None:
        pytest.skip(f"no disk can be mounted here: {mounted}")
    try:
        yield place
    finally:
        end_server(place)
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    filler = os.open(disk / _FILLER, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        with suppress(OSError):
            while os.write(filler, _BLOCK):
                pass
    finally:
        os.close(filler)


def free(disk: Path) -> None:
    """Give back what `fill` took."""
    (disk / _FILLER).unlink()


def enlarge(disk: Path) -> None:
    """Make room on a disk that is full of what is to stay."""
    problem = _mount("-o", f"remount,size={4 * SIZE_BYTES}", str(disk))
    assert problem is None, problem


def _mount(*arguments: str) -> str | None:
    """What is wrong with mounting; None where it went well."""
    try:
        ran = subprocess.run(["mount", *arguments], capture_output=True, check=False, text=True)
    except FileNotFoundError as error:
        return str(error)
    return ran.stderr.strip() or "refused" if ran.returncode else None
