"""Searches in random histories: a scan finds what a plain reading of the boards finds, and the index finds what a scan finds."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    Position,
    RecordedEvent,
    State,
    Task,
    TaskAsked,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskNoted,
)
from projections import Board, Found, TaskFilter
from projections.search.query import Query
from projections.search.scan import scan
from projections.search.texts import TaskTexts
from tests.property.examples import examples
from tests.property.histories import creations, history_of, wishes
from town.cache import Cache, CachePlace
from town.reading import index_finder
from town.reading.index_finder import IndexFinder

_EXAMPLES_MAX: Final = 30
_PIECES: Final = ("log", "login", "Logout", "Résumé", "re\u0301sume", "東京", "a", "1st", "-", "\n", "x_y")
_texts: SearchStrategy[str] = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map(" ".join).filter(str.strip)
_WORDS: Final = ("lo", "log", "login", "logout", "resume", "東", "a", "x", "1S", "b", "l")
_FILTERS: Final = (
    *[TaskFilter()] * 5,
    TaskFilter(state=State.PENDING),
    TaskFilter(agent="ada"),
    TaskFilter(tag="b", state=State.COMPLETED),
    TaskFilter(tag=("a", "b"), state=(State.PENDING, State.ASSIGNED)),
    TaskFilter(not_tag="b"),
)
queries: Final[SearchStrategy[Query]] = st.builds(
    Query.of,
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=2),
    st.sampled_from(_FILTERS),
    is_ever=st.booleans(),
)
_TEXT_OF: Final = {
    TaskAsked: "question",
    TaskCreated: "description",
    TaskDescribed: "description",
    TaskCompleted: "result",
    TaskFailed: "error",
    TaskCancelled: "reason",
    TaskNoted: "text",
}


def _retold(events: list[RecordedEvent], texts: list[str]) -> list[RecordedEvent]:
    """The same events with other texts, and a reason here and there."""
    told: list[RecordedEvent] = []
    for number, recorded in enumerate(events):
        text, name, data = texts[number % len(texts)], _TEXT_OF.get(type(recorded.data)), recorded.data
        if name is not None and getattr(data, name) is not None:
            data = replace(data, **{name: text})
        told.append(replace(recorded, data=data, reason=text if number % 5 == len(texts) % 5 else None))
    return told


# Long ones, because what is searched is what has changed.
towns: Final[SearchStrategy[list[RecordedEvent]]] = st.builds(
    _retold,
    st.builds(
        lambda first, rest: history_of([*first, *rest]),
        st.lists(creations, min_size=6, max_size=6),
        st.lists(wishes, min_size=20, max_size=40),
    ),
    st.lists(_texts, min_size=3, max_size=7),
)


# --- a scan and a plain reading --------------------------------------------------------------------------------------


def plain_words(text: str) -> list[str]:
    """The words of a text, cut character by character."""
    cut = ""
    for character in unicodedata.normalize("NFKD", text):
        if "\u0300" <= character <= "\u036f":
            continue
        is_alone = "\u4e00" <= character <= "\u9fff"
        cut += f" {character} " if is_alone else character.casefold() if character.isalnum() else " "
    return cut.split()


def texts_on(task: Task) -> set[str]:
    return {
        task.description,
        *task.tags,
        *(each or "" for each in (task.alias, task.result, task.question, task.answer)),
    }


def read_plainly(events: Sequence[RecordedEvent], query: Query) -> set[str]:
    """The ids of the tasks that are found, from the boards after each event and from the notes and reasons."""
    board = Board()
    now: dict[str, set[str]] = {}
    ever: dict[str, set[str]] = {}
    for recorded in events:
        before = board.get(recorded.task)
        board.fold([recorded])
        task = board.get(recorded.task)
        if before is None:
            now[recorded.task] = set()
        said = {recorded.reason or "", recorded.data.text if isinstance(recorded.data, TaskNoted) else ""}
        now[recorded.task] |= said
        ever.setdefault(recorded.task, set()).update(said, set() if task is None else texts_on(task))
    found: set[str] = set()
    for task_id, everything in ever.items():
        task = board.get(task_id)
        if task is None if not query.is_ever or query.wanted != TaskFilter() else False:
            continue
        if task is not None and not query.wanted.matches(task):
            continue
        texts = everything if query.is_ever or task is None else now[task_id] | texts_on(task)
        words = {word for text in texts for word in plain_words(text)}
        if all(any(has(word, wanted) for word in words) for wanted in query.words):
            found.add(task_id)
    return found


def has(word: str, wanted: str) -> bool:
    return re.match(f"{wanted}$" if len(wanted) == 1 else wanted, word) is not None


@examples(_EXAMPLES_MAX)
@given(towns, queries)
def test_scan_finds_what_a_plain_reading_finds(events: list[RecordedEvent], query: Query) -> None:
    """Present texts and, if asked for, former ones; as many as it says."""
    found = scan(_texts_of(events), query)
    ids = [hit.task_id for hit in found.hits]
    assert set(ids) == read_plainly(events, query)
    assert len(ids) == len(set(ids)) == found.total


@examples(_EXAMPLES_MAX)
@given(towns, queries)
def test_hits_name_the_events_of_their_texts(events: list[RecordedEvent], query: Query) -> None:
    """Where a text was written, by whom, and where it ended: the board before that event does not have it, or no longer has it."""
    known = {recorded.at: recorded for recorded in events}
    for hit in scan(_texts_of(events), query).hits:
        assert hit.texts
        for text in hit.texts:
            assert known[text.at].task == hit.task_id
            assert known[text.at].actor == text.actor
            assert text.until is None or known[text.until].position >= known[text.at].position
            assert text.until is None or query.is_ever


def _texts_of(events: Sequence[RecordedEvent]) -> dict[str, TaskTexts]:
    found: dict[str, TaskTexts] = {}
    for recorded in events:
        found.setdefault(recorded.task, TaskTexts(recorded.position.seq)).take(recorded)
    return found


# --- the index and a scan --------------------------------------------------------------------------------------------


class Ledger:
    """What a search asks of a ledger, on a list of events."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self.events = list(events)
        self.read_whole = 0

    def end(self) -> Position:
        return self.events[-1].position if self.events else BEGINNING

    def read_batches(self, after: Position = BEGINNING, *, upto: Position) -> Iterator[list[RecordedEvent]]:
        self.read_whole += after == BEGINNING
        found = [each for each in self.events if after < each.position <= upto]
        if found:
            yield found

    def heads(self, task_ids: Sequence[str]) -> list[tuple[int, Position]]:
        last = {each.task: (each.version, each.position) for each in self.events}
        return [last.get(task_id, (0, BEGINNING)) for task_id in task_ids]

    def histories_upto(self, ends: Mapping[str, Position]) -> dict[str, list[RecordedEvent]]:
        return {
            task_id: [each for each in self.events if each.task == task_id and each.position <= end]
            for task_id, end in ends.items()
        }

    def entries_at(self, positions: Sequence[Position]) -> list[tuple[bytes, list[bytes]]]:
        known = {each.position: each for each in self.events}
        return [(each.encode(), [repr(known[each]).encode()]) for each in positions if each in known]

    def count_lost(self) -> int:
        return 0


@pytest.fixture(scope="module")
def caches() -> Iterator[Iterator[Cache]]:
    """Caches in folders of their own."""
    with tempfile.TemporaryDirectory() as name:
        yield (_cache_in(Path(name) / str(number)) for number in count())


def _cache_in(folder: Path) -> Cache:
    (folder / ".tt").mkdir(mode=0o700, parents=True)
    return Cache(CachePlace(folder))


def search(ledger: Ledger, cache: Cache, query: Query, *, offset: int = 0, limit: int | None = None) -> Found | None:
    store: Any = ledger
    return IndexFinder(store, cache, ledger.end(), progress=None).find(query, offset=offset, limit=limit)


@examples(_EXAMPLES_MAX)
@given(towns, st.sets(st.integers(1, 40), max_size=6), st.lists(queries, min_size=1, max_size=4), st.booleans())
def test_index_finds_what_a_scan_finds(
    caches: Iterator[Cache], events: list[RecordedEvent], ends: set[int], asked: list[Query], is_patient: bool
) -> None:
    """In the same order and with the same texts, however the index was made: at once, or caught up at each search."""
    cache = next(caches)
    ledger = Ledger([])
    # A patient search always catches up, and never makes the index anew.
    with patch.object(index_finder, "EVENTS_PER_HISTORY", 0 if is_patient else 1):
        for end in [*sorted(end for end in ends if end < len(events)), len(events)]:
            ledger.events = events[:end]
            for query in asked if ledger.events else ():
                expected = scan(_texts_of(ledger.events), query)
                assert search(ledger, cache, query) == expected
                assert search(ledger, cache, query, offset=1, limit=2) == scan(
                    _texts_of(ledger.events), query, offset=1, limit=2
                )
    assert cache.problem is None
    assert not is_patient or ledger.read_whole <= 1


@examples(_EXAMPLES_MAX // 4)
@given(towns, queries, st.data())
def test_damage_of_the_index_changes_no_answer(
    caches: Iterator[Cache], events: list[RecordedEvent], query: Query, data: st.DataObject
) -> None:
    """Whatever bytes of the file are others, and wherever it ends."""
    cache = next(caches)
    ledger = Ledger(events)
    expected = scan(_texts_of(events), query)
    assert search(ledger, cache, query) == expected
    whole = cache.path.read_bytes()
    for _ in range(3):
        place = data.draw(st.integers(0, len(whole) - 1))
        wrong = bytearray(whole[: data.draw(st.sampled_from([len(whole), place]))])
        for offset in range(place, min(place + data.draw(st.integers(1, 64)), len(wrong))):
            wrong[offset] ^= data.draw(st.integers(1, 255))
        cache.path.write_bytes(wrong)
        found = search(ledger, cache, query)
        assert found in (None, expected)
        assert search(ledger, cache, query) in (None, expected)
