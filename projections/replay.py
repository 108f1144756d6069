"""Replay: read past events again, writing nothing, and see the town as it was."""

from __future__ import annotations

from ledger import EventStore, Position
from projections.board import Board


def replay(store: EventStore, *, upto: Position | None = None) -> Board:
    """The board at `upto`, or at the ledger's end where that is None. Reads in batches; LedgerDamagedError with its position."""
    board = Board()
    for batch in store.read_batches(upto=upto):
        board.fold(batch)
    return board
