"""What became of one command of a writer process, written down by the writer and read by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from projections import Snapshot


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call of a Town verb, and how it ended: with a receipt (`snapshot`, `positions`) or an `error`.

    `seq_before` and `seq_after` are the ledger's ends right before and after the call, so whatever the call saw lies
    between them.
    """

    writer: str
    verb: str
    task: str
    options: dict[str, str | list[str] | bool | None]
    expected_version: int | None = None
    seq_before: int
    seq_after: int
    positions: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    error: str | None = None
    conflict: tuple[str, int, int] | None = None
    """Of a version conflict: the task, the expected version and the actual one."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


def encode_outcome(outcome: Outcome) -> bytes:
    return _encoder.encode(outcome) + b"\n"


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """The outcomes in a writer's file, in the order of its calls."""
    return (_decoder.decode(line) for line in path.read_bytes().splitlines())
