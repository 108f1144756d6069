"""KeptBoard: a board in bytes, to be folded on from later: its blocks, each under a digest, and what says where it belongs.

A digest is taken over the bytes, so what was damaged is not what was asked for. Pure.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from ledger import Position, StreamEntry, Task
from projections import snapshots
from projections.filter import TaskKind
from projections.packed_board import Block, PackedBoard, Summary

DIGEST_BYTES: Final = 16
_FORMAT: Final = repr(
    (1, snapshots.SCHEMA_VERSION, Task.__struct_fields__, TaskKind.__struct_fields__, Summary.__struct_fields__)
).encode()
"""What the bytes mean. A program of another format does not know the board again. Raise the number if no other of these
changes; a change of how events are folded raises the schema version of snapshots."""
_FASTEST: Final = 1
_Removed = dict[str, tuple[int, Position]]


class Witness(Struct, frozen=True, array_like=True):
    """An event by which a kept board knows its ledger again: its position, and the digest of its bytes there."""

    at: str
    digest: bytes


class KeptBoard(Struct, frozen=True, array_like=True):
    """What is kept of a board beside its parts: the parts' digests one after the other, those of the removed tasks first."""

    at: str
    parts: bytes
    witnesses: tuple[Witness, ...]
    """Oldest first; the last is the event at the board's own position."""

    @property
    def position(self) -> Position:
        return Position(self.at)

    def each_digest(self) -> list[bytes]:
        """The digests of its parts, in order."""
        return [self.parts[start : start + DIGEST_BYTES] for start in range(0, len(self.parts), DIGEST_BYTES)]


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=str)
_decoder: Final = msgspec.msgpack.Decoder(KeptBoard)
_removed_decoder: Final = msgspec.msgpack.Decoder(_Removed, dec_hook=lambda _, text: Position(text))


def keep(board: PackedBoard, witnesses: tuple[Witness, ...]) -> tuple[KeptBoard, dict[bytes, bytes]]:
    """The kept board, and by digest those of its parts that no board kept before."""
    removed = zlib.compress(_encoder.encode(board.removed), _FASTEST)
    digests = [_digest(removed)]
    parts = {digests[0]: removed}
    for block in board.blocks:
        if block.digest is None:
            packed = block.pack()
            block.digest = _digest(packed)
            parts[block.digest] = packed
        digests.append(block.digest)
    return KeptBoard(board.position, b"".join(digests), witnesses), parts


def open_kept(kept: KeptBoard, parts: Mapping[bytes, bytes]) -> PackedBoard | None:
    """The board; None if one of its parts is missing, or if one of `parts` is damaged."""
    removed_digest, *digests = kept.each_digest()
    if not parts.keys() >= {removed_digest, *digests} or damaged_parts(parts):
        return None
    removed = parts[removed_digest]
    return PackedBoard(
        [Block(parts[digest], digest=digest) for digest in digests],
        removed=_removed_decoder.decode(zlib.decompress(removed)),
        position=kept.position,
    )


def damaged_parts(parts: Mapping[bytes, bytes]) -> list[bytes]:
    """The digests whose part has other bytes."""
    return [digest for digest, part in parts.items() if _digest(part) != digest]


def encode_kept(kept: KeptBoard) -> bytes:
    """A kept board in bytes, under a digest of its own."""
    content = _encoder.encode(kept)
    return _digest(_FORMAT + content) + content


def decode_kept(record: bytes) -> KeptBoard | None:
    """The kept board in these bytes; None if they are damaged, or if another program made them."""
    content = record[DIGEST_BYTES:]
    return _decoder.decode(content) if record[:DIGEST_BYTES] == _digest(_FORMAT + content) else None


def witness_of(entry: StreamEntry) -> Witness:
    """What an entry of a ledger is known by."""
    position, fields = entry
    return Witness(position.decode(), _digest(_encoder.encode((position, list(fields)))))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
