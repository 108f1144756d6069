"""Finds tasks by the words in their texts with the index in the town's cache.

The index is only a cache. It is caught up with the ledger at each search, and each task that is shown is read from the ledger
and looked at again. If the index is missing, damaged or of another ledger, it is made again; if it cannot be kept, the whole
ledger is read. The answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import EventStore, Position, SequenceGapError
from projections import (
    NUMBER_MAX,
    Found,
    IndexDamagedError,
    Met,
    Postings,
    Query,
    Segment,
    SegmentHead,
    TaskTexts,
    Witness,
    best_first,
    block_of_task,
    blocks_of_word,
    conditions_of,
    hit_of,
    make_segment,
    no_garbage_collection,
    rank,
    read_ids,
    read_numbers,
    read_postings,
    read_texts,
    score,
    task_in,
    texts_of,
    witness_of,
)
from town.reading.search_index import (
    INDEX_VERSION,
    SEARCH_TABLES,
    TASKS,
    WORDS,
    IndexHead,
    forget_index,
    read_blocks,
    read_head,
    write_index,
)

if TYPE_CHECKING:
    import sqlite3

    from projections import Progress, Ranking
    from town.cache import Cache

EVENTS_PER_HISTORY: Final = 16
"""How many events a scan reads in the time in which the history of one task is read, at most."""
TASKS_ABSORBED_TIMES: Final = 2
"""A new segment takes in the one before if that has at most this many times as many tasks, so there are never many segments."""
WITNESSES_MAX: Final = 64
"""By how many of its events an index knows its ledger."""
TASKS_TOGETHER_MAX: Final = 1_000
"""Of how many tasks the histories are read at once."""
_ATTEMPTS: Final = 3


class IndexFinder:
    """Searches the ledger of this store as it is at `end`, with the index in this cache."""

    def __init__(self, store: EventStore, cache: Cache, end: Position, *, progress: Progress | None) -> None:
        self._store = store
        self._cache = cache
        self._end = end
        self._progress = progress

    def find(self, query: Query, *, offset: int, limit: int | None) -> Found | None:
        """What is found; None if the cache cannot be used. LedgerDamagedError."""
        if self._end.seq > NUMBER_MAX or self._store.count_lost():
            # If events are lost, only a reading of all of them says where.
            return None
        for attempt in range(_ATTEMPTS):
            try:
                return self._find(query, offset=offset, limit=limit)
            except IndexDamagedError:
                # At first another search may have replaced a part of it. Then it is damaged.
                if attempt:
                    self._cache.write(forget_index, tables=SEARCH_TABLES)
        return None

    def _find(self, query: Query, *, offset: int, limit: int | None) -> Found | None:
        """As `find`; None if there is no cache. IndexDamagedError."""
        stored = self._cache.read(lambda database: (read_head(database),), tables=SEARCH_TABLES)
        if stored is None:
            return None
        [head] = stored
        if head is not None and head.end > self._end:
            # Another search was here after this one looked at the ledger's end.
            self._end = self._store.end()
        if head is None or not self._is_of_this_ledger(head):
            return self._make_index(query, offset=offset, limit=limit)
        newest: Segment | None = None
        if head.end != self._end:
            touched = self._touched(head.end)
            kept, absorbed = _absorbed(head, len(touched))
            tasks = len(touched) + sum(segment.tasks for segment in absorbed)
            if tasks * EVENTS_PER_HISTORY > self._end.seq:
                return self._make_index(query, offset=offset, limit=limit)
            head, newest = self._catch_up(head, kept, touched | self._ids_in(absorbed))
        page = self._cache.read(
            lambda database: _Index(database, head, newest).page(query, offset=offset, limit=limit),
            tables=SEARCH_TABLES,
        )
        return None if page is None else self._found(page, query)

    def _is_of_this_ledger(self, head: IndexHead) -> bool:
        """Whether the ledger has the events that the index knows it by."""
        return head.end <= self._end and self._witnesses(head.places) == head.witnesses

    def _witnesses(self, places: Sequence[Position]) -> tuple[Witness, ...]:
        """What the events at these positions are known by; one that is not there is left out."""
        return tuple(map(witness_of, self._store.entries_at(places)))

    def _head(self, segments: Sequence[SegmentHead], places: Sequence[Position]) -> IndexHead:
        """The head of an index up to the end that knows its ledger by the events at some of `places`, and by the last one."""
        every = max(-(-len(places) // (WITNESSES_MAX - 1)), 1)
        witnesses = self._witnesses([*places[::every], self._end])
        return IndexHead(INDEX_VERSION, witnesses, tuple(segments))

    def _make_index(self, query: Query, *, offset: int, limit: int | None) -> Found | None:
        """Read the whole ledger, answer from what was read, and keep it as the index; None if nothing can be kept now."""
        if not self._cache.write(lambda _: True, tables=SEARCH_TABLES):
            return None
        texts = read_texts(self._store, upto=self._end, progress=self._progress)
        with no_garbage_collection():
            segment = make_segment(1, texts)
        # Each task's first text was written by an event, so these are spread over the whole ledger.
        begun = [Position(each.texts[0].at) for each in texts.values() if each.texts]
        head = self._head([segment.head], [place for place in begun if place != self._end])
        self._cache.write(lambda database: write_index(database, None, head, [segment]), tables=SEARCH_TABLES)
        page = _Index(None, head, segment).page(query, offset=offset, limit=limit)
        return Found(
            query.words, tuple(hit_of(task_id, texts[task_id], query) for _, task_id in page.tasks), page.total
        )

    def _touched(self, after: Position) -> set[str]:
        """The tasks that have events after a position. SequenceGapError."""
        touched: set[str] = set()
        for batch in self._store.read_batches(after, upto=self._end):
            touched.update(recorded.task for recorded in batch)
            after = batch[-1].position
        if after != self._end:
            raise SequenceGapError("sequence number", self._end, expected=self._end.seq, found=after.seq)
        return touched

    def _catch_up(
        self, head: IndexHead, kept: Sequence[SegmentHead], ids: AbstractSet[str]
    ) -> tuple[IndexHead, Segment]:
        """The index up to `end`, and its last segment, which is of the tasks `ids`; written down if that is possible now."""
        number = 1 + max(segment.number for segment in head.segments)
        segment = make_segment(number, self._read_tasks(ids, self._progress))
        after = self._head([*kept, segment.head], head.places)
        self._cache.write(lambda database: write_index(database, head, after, [segment]), tables=SEARCH_TABLES)
        return after, segment

    def _ids_in(self, segments: Sequence[SegmentHead]) -> set[str]:
        """The ids of all tasks in these segments of the index. IndexDamagedError."""
        if not segments:
            return set()
        ids = self._cache.read(lambda database: _read_ids(database, segments), tables=SEARCH_TABLES)
        if ids is None:
            raise IndexDamagedError
        return ids

    def _read_tasks(self, ids: AbstractSet[str], progress: Progress | None = None) -> dict[str, TaskTexts]:
        """The texts of these tasks up to `end`, from their histories. HistoryBrokenError."""
        found: dict[str, TaskTexts] = {}
        ordered = sorted(ids)
        for start in range(0, len(ordered), TASKS_TOGETHER_MAX):
            together = ordered[start : start + TASKS_TOGETHER_MAX]
            heads = dict(zip(together, self._store.heads(together), strict=True))
            ends = {task_id: position for task_id, (version, position) in heads.items() if version}
            for task_id, history in self._store.histories_upto(ends).items():
                texts = texts_of(recorded for recorded in history if recorded.position <= self._end)
                if texts is not None:
                    found[task_id] = texts
            if progress is not None:
                progress(start + len(together), len(ordered))
        return found

    def _found(self, page: _Page, query: Query) -> Found:
        """What a page shows, from the ledger. IndexDamagedError if a task does not fit as the index says."""
        texts = self._read_tasks({task_id for _, task_id in page.tasks})
        for expected, task_id in page.tasks:
            if task_id not in texts or score(texts[task_id], query) != expected:
                raise IndexDamagedError
        return Found(
            query.words, tuple(hit_of(task_id, texts[task_id], query) for _, task_id in page.tasks), page.total
        )


class _Page(NamedTuple):
    """Score and id of some of the tasks that were found, best first, and how many were found in all."""

    tasks: Sequence[tuple[int, str]]
    total: int


class _Index:
    """An index as it is read within one transaction. `newest` is its last segment if that may not be in the file.

    If that is the only one, no file is needed.
    """

    def __init__(self, database: sqlite3.Connection | None, head: IndexHead, newest: Segment | None) -> None:
        self._database = database
        self._segments = head.segments
        self._newest = newest

    def page(self, query: Query, *, offset: int, limit: int | None) -> _Page:
        """What is found in all segments. IndexDamagedError."""
        without: set[int] = set()
        rankings: list[tuple[SegmentHead, Ranking]] = []
        for segment in reversed(self._segments):
            words = [self._postings(segment, word) for word in query.words]
            conditions = [
                Met([self._postings(segment, word) for word in condition.words], condition.is_not)
                for condition in conditions_of(query.wanted)
            ]
            ranking = rank(words, conditions, without=without, is_ever=query.is_ever)
            rankings.append((segment, ranking))
            if segment is not self._segments[0]:
                without.update(self._numbers_in(segment))
        shown = list(best_first([ranking for _, ranking in rankings], offset=offset, limit=limit))
        total = sum(len(numbers) for _, ranking in rankings for numbers in ranking.values())
        return _Page([(best, self._id(number, best, rankings)) for best, number in shown], total)

    def _id(self, number: int, best: int, rankings: Sequence[tuple[SegmentHead, Ranking]]) -> str:
        """The id of a task that was found with this score. IndexDamagedError."""
        segment = next(segment for segment, ranking in rankings if number in ranking.get(best, ()))
        index = block_of_task(segment, number)
        if index is None:
            raise IndexDamagedError
        [block] = self._blocks(segment, TASKS, range(index, index + 1))
        task_id = task_in(block, number)
        if task_id is None:
            raise IndexDamagedError
        return task_id

    def _postings(self, segment: SegmentHead, word: str) -> Postings:
        return read_postings(self._blocks(segment, WORDS, blocks_of_word(segment, word)), word)

    def _numbers_in(self, segment: SegmentHead) -> list[int]:
        """The numbers of all tasks in a segment."""
        blocks = self._blocks(segment, TASKS, range(len(segment.task_blocks)))
        return [number for block in blocks for number in read_numbers(block)]

    def _blocks(self, segment: SegmentHead, kind: int, indexes: range) -> Sequence[bytes]:
        if self._newest is not None and segment.number == self._newest.head.number:
            return (self._newest.words if kind == WORDS else self._newest.tasks)[indexes.start : indexes.stop]
        heads = segment.word_blocks if kind == WORDS else segment.task_blocks
        if self._database is None:
            raise IndexDamagedError
        return read_blocks(self._database, segment.number, kind, heads, indexes)


def _absorbed(head: IndexHead, tasks: int) -> tuple[list[SegmentHead], list[SegmentHead]]:
    """The segments that stay, and those that a new one of so many tasks takes in."""
    kept = list(head.segments)
    absorbed: list[SegmentHead] = []
    while len(kept) > 1 and kept[-1].tasks <= tasks * TASKS_ABSORBED_TIMES:
        absorbed.append(kept.pop())
        tasks += absorbed[-1].tasks
    return kept, absorbed


def _read_ids(database: sqlite3.Connection, segments: Sequence[SegmentHead]) -> set[str]:
    """The ids of all tasks in these segments. IndexDamagedError."""
    found: set[str] = set()
    for segment in segments:
        blocks = read_blocks(database, segment.number, TASKS, segment.task_blocks, range(len(segment.task_blocks)))
        found.update(task_id for block in blocks for task_id in read_ids(block))
    return found
