"""Replay: read past events again, writing nothing, and see the town as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger import EventStore, Position, RecordedEvent, SequenceGapError, Task, evolve_known
from projections.board import Board

if TYPE_CHECKING:
    from projections.entries import Tally


def replay(store: EventStore, *, upto: Position | None = None, tally: Tally | None = None) -> Board:
    """The board at `upto`, or at the ledger's end where that is None. Reads in batches; LedgerDamagedError with its position."""
    board = Board()
    with no_garbage_collection():
        for batch in store.read_batches(upto=upto):
            board.fold(batch, tally=tally)
    if upto is not None and board.position != upto:
        raise SequenceGapError("sequence number", upto, expected=upto.seq, found=board.position.seq)
    return board


def fold_task(history: Iterable[RecordedEvent]) -> Task | None:
    """The task that these events, oldest first, lead to; None where it was removed, or no event could make it. Pure."""
    task: Task | None = None
    for recorded in history:
        task = evolve_known(task, recorded)
    return task


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
