"""Whether git tracks something at or below a path: read from the index of a work tree, without running git."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from town.repository import Repository, UnreadableError, read_own_file

INDEX_BYTES_MAX: Final = 512 * 1024 * 1024
_SIGNATURE: Final = b"DIRC"
_HEADER_BYTES: Final = 12
_STATUS_BYTES: Final = 40
_HASH_BYTES: Final = (20, 32)
"""SHA-1, then SHA-256: the index does not say which it holds."""
_EXTENDED: Final = 0x4000


class Tracking(StrEnum):
    """What git has at or below a path; `unknown` where its index cannot be read."""

    NONE = "none"
    TRACKED = "tracked"
    UNKNOWN = "unknown"


def tracking(repository: Repository, path: Path) -> Tracking:
    """Whether git tracks `path`, or anything below it or, in a sparse index, a folder above it. Case does not matter."""
    if repository.git_folder is None:
        return Tracking.NONE
    index = repository.git_folder / "index"
    try:
        wanted = str(path.relative_to(repository.root)).casefold().encode(errors="surrogateescape")
        content = read_own_file(index, bytes_max=INDEX_BYTES_MAX) if index.exists() else b""
    except (UnreadableError, ValueError):
        return Tracking.UNKNOWN
    if not content:
        return Tracking.NONE
    for hash_bytes in _HASH_BYTES:
        try:
            found = any(_overlaps(name, wanted) for name in _names(content, hash_bytes))
        except (ValueError, IndexError):
            continue
        # Of a split index, most entries stand in another file.
        is_split = b"link" in content[-200_000:] and next(repository.git_folder.glob("sharedindex.*"), None) is not None
        return Tracking.TRACKED if found else Tracking.UNKNOWN if is_split else Tracking.NONE
    return Tracking.UNKNOWN


def _overlaps(name: bytes, wanted: bytes) -> bool:
    folded = name.decode(errors="surrogateescape").casefold().encode(errors="surrogateescape")
    return folded == wanted or folded.startswith(wanted + b"/") or (folded.endswith(b"/") and wanted.startswith(folded))


def _names(content: bytes, hash_bytes: int) -> Iterator[bytes]:
    """The paths in an index, in their order. ValueError, IndexError where it is none with hashes of that size."""
    version, count = int.from_bytes(content[4:8]), int.from_bytes(content[8:12])
    if content[:4] != _SIGNATURE or version not in (2, 3, 4):
        raise ValueError(version)
    place, name = _HEADER_BYTES, b""
    for _ in range(count):
        flags_at = place + _STATUS_BYTES + hash_bytes
        flags = int.from_bytes(content[flags_at : flags_at + 2])
        start = flags_at + (4 if flags & _EXTENDED else 2)
        if version == 4:
            dropped, start = _varint(content, start)
            end = content.index(b"\0", start)
            name = name[: len(name) - dropped] + content[start:end]
            place = end + 1
        else:
            end = content.index(b"\0", start)
            name = content[start:end]
            place += (end - place + 8) // 8 * 8
        if (flags & 0xFFF) != min(len(name), 0xFFF):
            raise ValueError(place)
        yield name


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Git's offset encoding: seven bits a byte, most significant first, each further byte adding one."""
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = content[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1
