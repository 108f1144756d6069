"""Quarantine: the lines that an import skipped, byte for byte in a file of their own, beside the file that was imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from town.errors import FolderRefusedError, ImportRefusedError
from town.files.os_errors import refuse_os_errors
from town.files.regular_file import open_regular
from town.files.whole_file import OWN_MODE, make_by_link

FILES_MAX: Final = 1_000


class BadLine(NamedTuple):
    """A line that cannot be imported: its number, where it begins and how long it is in bytes, and why."""

    number: int
    start: int
    size: int
    problem: str


def set_aside(path: Path, bad: Sequence[BadLine]) -> Path:
    """Write the bad lines of a file into a new one, and return its path. No file is written over.

    A file that has these lines already, from an earlier import, is left as it is. FolderRefusedError, ImportRefusedError.
    """
    content = _content(path, bad)
    for number in range(1, FILES_MAX + 1):
        place = path.with_name(f"{path.name}.bad" if number == 1 else f"{path.name}.bad-{number}")
        try:
            make_by_link(place, content, mode=OWN_MODE)
        except FileExistsError:
            if _has(place, content):
                return place
        except OSError as error:
            raise FolderRefusedError(place, error) from error
        else:
            return place
    raise ImportRefusedError(path, [f"it has {FILES_MAX:,} files of bad lines beside it; move them away"])


def _content(path: Path, bad: Sequence[BadLine]) -> bytes:
    parts: list[bytes] = []
    with refuse_os_errors(path), open_regular(path) as file:
        for line in bad:
            file.seek(line.start)
            part = file.read(line.size)
            parts.append(part if part.endswith(b"\n") else part + b"\n")
    return b"".join(parts)


def _has(place: Path, content: bytes) -> bool:
    """Whether what is there is a file with this content."""
    try:
        with open_regular(place) as file:
            return file.read(len(content) + 1) == content
    except (OSError, FolderRefusedError):
        return False
