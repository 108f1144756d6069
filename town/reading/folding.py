"""Folding: all tasks of a town at a position, folded from the ledger; on from a kept board, if there is one.

Boards that are passed are kept, if that is little work beside the fold. Whoever checks the ledger replays it and does not come
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import BEGINNING, Position, SequenceGapError
from projections import Board, no_garbage_collection, replay
from town.backend import Backend

if TYPE_CHECKING:
    from projections import PackedBoard
    from town.reading.kept_boards import KeptBoards

FOLDED_EVENTS_MAX: Final = 16_384
"""To fold so many events takes less than a tenth of a second. At an earlier moment no board is kept or looked for."""
KEPT_EVENTS_MIN: Final = 4_096
"""A board is kept only if at least so many events were folded since the last."""
KEPT_EVERY_SHARE: Final = 16
"""A board is kept after so many events as are this part of all until then, so that a look folds at most that part of them."""
PACKED_TASKS_PER_EVENT_MAX: Final = 1
"""A board on the way is kept if so few tasks must be packed for each event that was folded since the last. To pack a task takes
a third of the time of a fold of an event."""
PACKED_TASKS_PER_EVENT_AT_END_MAX: Final = 4
"""The same for the board that was asked for, which is likely to be asked for again."""

PASSED_EVERY: Final = 64
"""A board may be known by each event whose number is a multiple of this power of two."""


def board_at(backend: Backend, upto: Position) -> Board | PackedBoard:
    """All tasks as they were after the event at `upto`; BEGINNING shows none. LedgerDamagedError names a position."""
    store = backend.store
    if upto == BEGINNING:
        return Board()
    if upto.seq <= FOLDED_EVENTS_MAX:
        return replay(store, upto=upto)
    from town.cache import is_cache_wanted  # noqa: PLC0415 - it loads SQLite, and small towns do without

    # If events are lost, only a fold from the beginning finds where.
    if not is_cache_wanted() or store.count_lost():
        return replay(store, upto=upto)
    from town.reading.kept_boards import KeptBoards  # noqa: PLC0415 - as above

    kept = KeptBoards(backend.cache, store)
    board = kept.nearest(upto)
    with no_garbage_collection():
        _fold(board, kept, backend, upto)
    if board.position != upto:
        raise SequenceGapError("sequence number", upto, expected=upto.seq, found=board.position.seq)
    return board


def _fold(board: PackedBoard, kept: KeptBoards, backend: Backend, upto: Position) -> None:
    """Fold the events after the board up to `upto`, and keep boards on the way."""
    kept_number = tried_number = board.position.seq
    passed: list[Position] = []
    for batch in backend.store.read_batches(board.position, upto=upto):
        board.fold(batch)
        passed += [recorded.position for recorded in batch[-batch[0].position.seq % PASSED_EVERY :: PASSED_EVERY]]
        number, is_end = board.position.seq, board.position == upto
        if (
            number - kept_number < KEPT_EVENTS_MIN
            if is_end
            else number - tried_number < max(KEPT_EVENTS_MIN, number // KEPT_EVERY_SHARE)
        ):
            continue
        tried_number = number
        per_event_max = PACKED_TASKS_PER_EVENT_AT_END_MAX if is_end else PACKED_TASKS_PER_EVENT_MAX
        if board.count_unpacked() <= (number - kept_number) * per_event_max:
            kept.keep(board, passed)
            kept_number, passed = number, []
    kept.write()
