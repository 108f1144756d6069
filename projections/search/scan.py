"""Scan: finds tasks by reading the whole ledger. It is what an index is measured against, and the answer without one."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ledger import BEGINNING, EventStore, Position, SequenceGapError
from projections.replay import no_garbage_collection
from projections.search.query import Hit, Query, hit_of, score
from projections.search.texts import TaskTexts

Progress = Callable[[int, int], None]
"""Called while something is read: how many events or tasks were, and of how many."""


class Found(Struct, frozen=True):
    """Some of the tasks that have all these words, best first, then newest first, and how many there are in all."""

    words: tuple[str, ...]
    hits: tuple[Hit, ...]
    total: int


def read_texts(store: EventStore, *, upto: Position, progress: Progress | None = None) -> dict[str, TaskTexts]:
    """The texts of all tasks by id, from the ledger up to the event at `upto`. LedgerDamagedError."""
    found: dict[str, TaskTexts] = {}
    reached = BEGINNING
    with no_garbage_collection():
        for batch in () if upto == BEGINNING else store.read_batches(upto=upto):
            for recorded in batch:
                texts = found.get(recorded.task)
                if texts is None:
                    texts = found[recorded.task] = TaskTexts(recorded.position.seq)
                texts.take(recorded)
            reached = batch[-1].position
            if progress is not None:
                progress(reached.seq, upto.seq)
    if reached != upto:
        raise SequenceGapError("sequence number", upto, expected=upto.seq, found=reached.seq)
    return found


def scan(tasks: dict[str, TaskTexts], query: Query, *, offset: int = 0, limit: int | None = None) -> Found:
    """What is found among these tasks, from `offset`, at most `limit`."""
    scores = ((score(texts, query), texts.number, task_id) for task_id, texts in tasks.items())
    ranked = sorted(((best, number, task_id) for best, number, task_id in scores if best is not None), reverse=True)
    page = ranked[offset : None if limit is None else offset + limit]
    return Found(query.words, tuple(hit_of(task_id, tasks[task_id], query) for _, _, task_id in page), len(ranked))
