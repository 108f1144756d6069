"""The search index in a town's cache: its tables, and what is read and written there.

An index is a head and the blocks of its segments. The head names the last event that the index has taken in, and the digest
of every block, and has a digest of its own. So what is read from the file is what was written for this ledger, or is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from unicodedata import unidata_version

import msgspec
from msgspec import Struct

from ledger import Position
from projections import BlockHead, IndexDamagedError, Segment, SegmentHead, Witness, digest_of

if TYPE_CHECKING:
    import sqlite3

INDEX_VERSION: Final = f"2 {unidata_version} {sys.byteorder}"
"""What an index was made by: the first number rises if the words, the places, their worth or the blocks change."""
SEARCH_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS search_head (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL, digest BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS search_block (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
)
WORDS: Final = 0
TASKS: Final = 1
_SEGMENT_BITS: Final = 33
_KIND_BITS: Final = 32


class IndexHead(Struct, frozen=True, array_like=True):
    """An index: its segments, of which later ones replace tasks of earlier ones, and the events by which it knows its ledger.

    The last of these is the last event that it has taken in.
    """

    version: str
    witnesses: tuple[Witness, ...]
    segments: tuple[SegmentHead, ...]

    @property
    def end(self) -> Position:
        """The position of the last event that it has taken in."""
        return Position(self.witnesses[-1].at)

    @property
    def places(self) -> list[Position]:
        """The positions of the events by which it knows its ledger."""
        return [Position(witness.at) for witness in self.witnesses]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IndexHead)


def read_head(database: sqlite3.Connection) -> IndexHead | None:
    """The head of the index; None if there is none that this program can use."""
    row = database.execute("SELECT bytes, digest FROM search_head WHERE id = 1").fetchone()
    if row is None or not isinstance(row[0], bytes) or digest_of(row[0]) != row[1]:
        return None
    try:
        head = _decoder.decode(row[0])
        for witness in head.witnesses:
            Position.parse(witness.at)
    except ValueError:
        return None
    return head if head.version == INDEX_VERSION and head.segments and head.witnesses else None


def read_blocks(
    database: sqlite3.Connection, segment: int, kind: int, heads: Sequence[BlockHead], indexes: range
) -> list[bytes]:
    """Some blocks of a segment. IndexDamagedError."""
    if not indexes:
        return []
    rows = database.execute(
        "SELECT bytes FROM search_block WHERE id BETWEEN ? AND ? ORDER BY id",
        (_id(segment, kind, indexes[0]), _id(segment, kind, indexes[-1])),
    )
    blocks: list[bytes] = [block for (block,) in rows if isinstance(block, bytes)]
    if [digest_of(block) for block in blocks] != [heads[index].digest for index in indexes]:
        raise IndexDamagedError
    return blocks


def write_index(
    database: sqlite3.Connection, before: IndexHead | None, after: IndexHead, added: Iterable[Segment]
) -> bool:
    """Put `after` in the place of `before`, with the segments that are new in it; False if another process was faster."""
    if before is not None and read_head(database) != before:
        return False
    kept = {segment.number for segment in after.segments}
    if before is None:
        database.execute("DELETE FROM search_block")
    for head in () if before is None else before.segments:
        if head.number not in kept:
            first, last = _id(head.number, WORDS, 0), _id(head.number + 1, WORDS, 0) - 1
            database.execute("DELETE FROM search_block WHERE id BETWEEN ? AND ?", (first, last))
    for segment in added:
        for kind, blocks in ((WORDS, segment.words), (TASKS, segment.tasks)):
            database.executemany(
                "INSERT INTO search_block VALUES (?, ?)",
                [(_id(segment.head.number, kind, index), block) for index, block in enumerate(blocks)],
            )
    encoded = _encoder.encode(after)
    database.execute("INSERT OR REPLACE INTO search_head VALUES (1, ?, ?)", (encoded, digest_of(encoded)))
    return True


def forget_index(database: sqlite3.Connection) -> None:
    """Delete the index, so that it is made again."""
    database.execute("DELETE FROM search_head")
    database.execute("DELETE FROM search_block")


def _id(segment: int, kind: int, index: int) -> int:
    return segment << _SEGMENT_BITS | kind << _KIND_BITS | index
