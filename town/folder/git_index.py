"""What git tracks in a folder, read from the index of its work tree without running git.

The format is git's `gitformat-index`, versions 2, 3 and 4, with both sizes of object ids, a split index and a sparse one.
"Cannot be told" is an answer of its own, so that a broken index is never taken for an empty one.
"""

from __future__ import annotations

import itertools
import os
import struct
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.folder.repository import Repository, UnreadableError, read_own_file

INDEX_BYTES_MAX: Final = 128 << 20
"""About a million entries."""
ENTRY_NAME_BYTES_MAX: Final = 4096
"""The longest path. Without this bound, names in a version 4 index could grow without end."""
NAMES_MAX: Final = 10
_HEADER: Final = struct.Struct(">4sII")
_VERSIONS: Final = (2, 3, 4)
_VERSION_COMPRESSED: Final = 4
_EXTENSION: Final = struct.Struct(">4sI")
_STAT_BYTES: Final = 40
_OBJECT_ID_BYTES: Final = (20, 32)
"""SHA-1 and SHA-256. The index does not say which one it uses; with the wrong one its parts do not fit its size."""
_FLAG_EXTENDED: Final = 0x4000
_NAME_LENGTH: Final = 0x0FFF
_EXTENSIONS_READ: Final = (b"link", b"sdir")
"""The extensions of a split index and of a sparse one."""
_BITMAP: Final = struct.Struct(">II")
_WORD_BITS: Final = 64
_IGNORED_BY_HFS: Final = dict.fromkeys(
    map(ord, "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff")
)
"""A Mac's disk ignores these characters in names."""


class Tracked(Struct, frozen=True):
    """The first NAMES_MAX names that git tracks at or below a folder, in the order they are read.

    If `remark` is not None, it says why this cannot be told. Then there may be more than `names`.
    """

    names: list[str]
    remark: str | None = None


class _Index(Struct):
    """An index file: its entries' names, and the extensions that change what they mean."""

    names: list[bytes]
    extensions: dict[bytes, bytes]
    object_id_bytes: int


def tracked_below(repository: Repository, path: Path) -> Tracked:
    """What git tracks at `path` or below it, by name only: nothing needs to be there.

    `path` begins with the repository's root. Names that differ in case or in how Unicode writes them are taken for the same,
    because some disks do that.
    """
    if repository.git_folder is None:
        return Tracked([], repository.remark)
    if not path.is_relative_to(repository.root):
        return Tracked([], f"{path} is not in the work tree {repository.root}")
    wanted = _fold(bytes(path.relative_to(repository.root)))
    below = b"" if wanted == b"." else wanted + b"/"
    names: list[str] = []
    try:
        for name in _entries(repository.git_folder):
            folded = name.lower() if name.isascii() else _fold(name)
            if folded.startswith(below) or folded == wanted:
                names.append(name.decode(errors="replace"))
                if len(names) == NAMES_MAX:
                    break
            elif folded.endswith(b"/") and wanted.startswith(folded):
                # A sparse index has a folder in place of the folder's content.
                shown = name.decode(errors="replace")
                return Tracked(names, f"the index of {repository.root} is sparse, and holds {shown} in one entry")
    except UnreadableError as error:
        return Tracked(names, str(error))
    return Tracked(names)


def _fold(name: bytes) -> bytes:
    text = name.decode(errors="surrogateescape").translate(_IGNORED_BY_HFS)
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold()).encode(errors="surrogateescape")


def _entries(git_folder: Path) -> Iterable[bytes]:
    """The names of all entries; a split index has most of them in a second file. UnreadableError."""
    path = git_folder / "index"
    if not os.path.lexists(path):
        return []
    index = _read_index(path)
    link = index.extensions.get(b"link", b"")
    shared_id = link[: index.object_id_bytes]
    if not any(shared_id):
        return index.names
    shared = _read_index(git_folder / f"sharedindex.{shared_id.hex()}")
    if b"link" in shared.extensions:
        raise UnreadableError(f"{path} shares entries with an index that is split itself")
    try:
        deleted = _set_bits(link[index.object_id_bytes :], upto=len(shared.names))
    except struct.error:
        raise UnreadableError(f"{path} is damaged where it says what it shares") from None
    # An entry that replaces a shared one has no own name.
    kept = [name for position, name in enumerate(shared.names) if position not in deleted]
    return kept + [name for name in index.names if name]


def _read_index(path: Path) -> _Index:
    content = read_own_file(path, bytes_max=INDEX_BYTES_MAX)
    for object_id_bytes in _OBJECT_ID_BYTES:
        try:
            return _parse(content, object_id_bytes)
        except (ValueError, IndexError, struct.error):
            continue
    raise UnreadableError(f"{path} is not an index as git writes it, or of a newer version")


def _parse(content: bytes, object_id_bytes: int) -> _Index:
    """ValueError, IndexError or struct.error where the parts do not fit the whole."""
    signature, version, count = _HEADER.unpack_from(content)
    if signature != b"DIRC" or version not in _VERSIONS:
        raise ValueError
    read_names = _compressed_names if version == _VERSION_COMPRESSED else _padded_names
    names, position = read_names(content, count, _STAT_BYTES + object_id_bytes)
    extensions: dict[bytes, bytes] = {}
    end = len(content) - object_id_bytes
    while position < end:
        extension, size = _EXTENSION.unpack_from(content, position)
        position += _EXTENSION.size
        if extension in _EXTENSIONS_READ:
            extensions[extension] = content[position : position + size]
        elif not b"A" <= extension[:1] <= b"Z":
            # Only extensions that begin with a capital may be skipped.
            raise ValueError
        position += size
    if position != end:
        raise ValueError
    return _Index(names, extensions, object_id_bytes)


def _padded_names(content: bytes, count: int, flags_offset: int) -> tuple[list[bytes], int]:
    """The names in versions 2 and 3, whose entries end in 1 to 8 zeros; and the offset behind the entries."""
    names = []
    position = _HEADER.size
    for _ in range(count):
        flags_at = position + flags_offset
        flags = content[flags_at] << 8 | content[flags_at + 1]
        begin = flags_at + (4 if flags & _FLAG_EXTENDED else 2)
        length = flags & _NAME_LENGTH
        end = begin + length if length < _NAME_LENGTH else content.index(0, begin + length)
        if content[end] or end - begin > ENTRY_NAME_BYTES_MAX:
            raise ValueError
        names.append(content[begin:end])
        position += (end - position + 8) & ~7
    return names, position


def _compressed_names(content: bytes, count: int, flags_offset: int) -> tuple[list[bytes], int]:
    """The names in version 4, whose entries say how much of the previous name to keep; and the offset behind the
    entries.
    """
    names = []
    name = b""
    names_bytes = 0
    position = _HEADER.size
    for _ in range(count):
        flags_at = position + flags_offset
        begin = flags_at + (4 if content[flags_at] << 8 & _FLAG_EXTENDED else 2)
        cut, begin = _read_number(content, begin)
        end = content.index(0, begin)
        if cut > len(name):
            raise ValueError
        name = name[: len(name) - cut] + content[begin:end]
        names_bytes += len(name)
        # A few bytes could stand for many names of the maximum length.
        if len(name) > ENTRY_NAME_BYTES_MAX or names_bytes > INDEX_BYTES_MAX:
            raise ValueError
        names.append(name)
        position = end + 1
    return names, position


def _read_number(content: bytes, position: int) -> tuple[int, int]:
    """A number with 7 bits per byte, where each further byte adds one to the bits before it; and the offset behind it."""
    byte = content[position]
    number = byte & 0x7F
    while byte & 0x80:
        if number > ENTRY_NAME_BYTES_MAX:
            raise ValueError
        position += 1
        byte = content[position]
        number = (number + 1) << 7 | byte & 0x7F
    return number, position + 1


def _set_bits(content: bytes, *, upto: int) -> set[int]:
    """The positions below `upto` that are set in an EWAH bitmap, or none where there is no bitmap; struct.error.

    A marker word gives the length of a run of equal bits, and how many literal words follow.
    """
    found: set[int] = set()
    if not content:
        return found
    _, words_count = _BITMAP.unpack_from(content)
    words = iter(struct.unpack_from(f">{words_count}Q", content, _BITMAP.size))
    position = 0
    for word in words:
        run_end = position + (word >> 1 & 0xFFFFFFFF) * _WORD_BITS
        if word & 1:
            found.update(range(position, min(run_end, upto)))
        position = run_end
        for literal in itertools.islice(words, word >> 33):
            found.update(position + bit for bit in range(_WORD_BITS) if literal >> bit & 1)
            position += _WORD_BITS
    return found
