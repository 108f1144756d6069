"""Replay: reads past events again, without writing, to show the town as it was."""

from __future__ import annotations

import gc
from _thread import allocate_lock
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ledger import TOWN_ID, EventStore, Position, RecordedEvent, SequenceGapError, Task, evolve_known
from projections.board import Board

if TYPE_CHECKING:
    from projections.entries import Tally


def replay(store: EventStore, *, upto: Position | None = None, tally: Tally | None = None) -> Board:
    """The board at `upto` (None: the ledger's end). Reads in batches; LedgerDamagedError names the position."""
    board = Board()
    with no_garbage_collection():
        for batch in store.read_batches(upto=upto):
            board.fold(batch, tally=tally)
    if upto is not None and board.position != upto:
        raise SequenceGapError("sequence number", upto, expected=upto.seq, found=board.position.seq)
    return board


def fold_task(history: Iterable[RecordedEvent]) -> Task | None:
    """The task after these events, oldest first; None if it was removed, or if its creation is flawed. Pure."""
    task: Task | None = None
    for recorded in history:
        task = evolve_known(task, recorded)
    return task


def ends_before(events: Iterable[RecordedEvent], known: Container[str]) -> dict[str, str]:
    """Task id -> position of its last event before these, for the tasks that have earlier events and are not `known`. Pure."""
    found: dict[str, str] = {}
    met = {TOWN_ID}
    for recorded in events:
        task_id = recorded.task
        if task_id not in known and task_id not in met:
            met.add(task_id)
            if recorded.prev is not None:
                found[task_id] = recorded.prev
    return found


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off for the block. Events and tasks have no cycles; the search for some takes half of a replay.

    Blocks of several threads overlap: the first one turns it off, and the last one puts it back.
    """
    _pauses.begin()
    try:
        yield
    finally:
        _pauses.end()


class _Pauses:
    """How many blocks, of all threads, keep the collection off."""

    def __init__(self) -> None:
        self._changing = allocate_lock()
        self._count = 0
        self._was_enabled = False

    def begin(self) -> None:
        with self._changing:
            if not self._count:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._changing:
            self._count -= 1
            if not self._count and self._was_enabled:
                gc.enable()


_pauses: Final = _Pauses()
