"""Replay: read past events again, writing nothing, and see the town as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ledger import EventStore, Position, SequenceGapError
from projections.board import Board, Observe


def replay(store: EventStore, *, upto: Position | None = None, observe: Observe | None = None) -> Board:
    """The board at `upto`, or at the ledger's end where that is None. Reads in batches; LedgerDamagedError with its position."""
    board = Board()
    with no_garbage_collection():
        for batch in store.read_batches(upto=upto):
            board.fold(batch, observe=observe)
    if upto is not None and board.position != upto:
        raise SequenceGapError("sequence number", upto, expected=upto.seq, found=board.position.seq)
    return board


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Events and tasks hold no cycles, and looking for some among a million of them takes half of a replay's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
