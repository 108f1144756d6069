"""A packed board is the board: folded in parts, kept and opened again between them, it gives the same answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ledger import (
    Event,
    Position,
    RecordedEvent,
    State,
    TaskAdopted,
    TaskCreated,
    TaskNoted,
    TaskRemoved,
    record,
)
from projections import (
    Board,
    KeptBoard,
    PackedBoard,
    Sort,
    TaskFilter,
    Witness,
    decode_kept,
    encode_kept,
    keep,
    kept_board,
    open_kept,
    packed_board,
)
from tests.property.histories import TASKS, histories
from tests.property.strategies import facts
from tests.support.builders import START_MS, an_event, task_id

PREFIXES: Final = ("", "0", "00000000-", "00000000-0000-4000-8000-00000000000", "1", "-")
FILTERS: Final = [
    TaskFilter(state=state, agent=agent, tag=tag, parent=parent, is_newest_first=is_newest_first)
    for state in (None, State.PENDING, State.COMPLETED)
    for agent in (None, "ada")
    for tag in (None, "a")
    for parent in (None, TASKS[0])
    for is_newest_first in (False, True)
] + [
    TaskFilter(has_no_agent=True),
    TaskFilter(state=(State.PENDING, State.RUNNING), tag=("a", "b"), not_tag="c"),
    *(
        TaskFilter(priority=priority, overdue_ms=overdue_ms, state=state, sort=sort, is_newest_first=is_newest_first)
        for priority, overdue_ms in (((2,), None), ((0, 4), None), (None, START_MS + 1), ((2, 4), START_MS + 1))
        for state in (None, State.PENDING)
        for sort in (Sort.CREATED, Sort.DUE)
        for is_newest_first in (False, True)
    ),
    *(
        TaskFilter(sort=sort, tag=tag, is_newest_first=is_newest_first)
        for sort in Sort
        for tag in (None, "a")
        for is_newest_first in (False, True)
    ),
]

_adoptions: Final[SearchStrategy[Event]] = st.builds(
    TaskAdopted,
    records=st.just(()),
    description=st.just("Old"),
    state=st.sampled_from(State),
    created_at=st.just("2025-06-01T10:00:00.000Z"),
    updated_at=st.just("2025-06-01T10:00:00.000Z"),
    assigned_to=st.sampled_from([None, "ada"]),
    alias=st.sampled_from([None, "bd-1", "bd-2"]),
)


def _in_order(drawn: list[tuple[int, Event]]) -> list[RecordedEvent]:
    """The facts as events of their tasks, whether a command can make them or not."""
    versions: dict[int, int] = {}
    events: list[RecordedEvent] = []
    for number, fact in drawn:
        versions[number] = versions.get(number, 0) + 1
        event = an_event(fact, task=task_id(number), version=versions[number])
        events.append(record(event, Position.of(ms=START_MS, seq=len(events) + 1)))
    return events


wild_histories: Final[SearchStrategy[list[RecordedEvent]]] = st.lists(
    st.tuples(st.integers(1, 6), st.one_of(facts, facts, _adoptions)), max_size=40
).map(_in_order)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few tasks fill several blocks."""
    monkeypatch.setattr(packed_board, "BLOCK_TASKS", 2)


def answers(board: Board | PackedBoard) -> list[object]:
    """What a board says to every question."""
    pages = [
        board.page(wanted, offset=offset, limit=limit)
        for wanted in FILTERS
        for offset, limit in ((0, None), (0, 2), (1, 1), (1, None), (9, 5), (0, 0))
    ]
    return [
        board.position,
        board.removed,
        *pages,
        board.backlog(limit=2),
        board.count_states(),
        board.count_agents(),
        *(board.find(prefix, limit=limit) for prefix in PREFIXES for limit in (1, 9)),
        *(board.find_alias(alias) for alias in ("bd-1", "bd-2", "")),
        *(board.get(task_id(number)) for number in range(8)),
        list(board.tasks.items()),
    ]


def kept_and_opened(board: PackedBoard, parts: dict[bytes, bytes]) -> PackedBoard:
    """The board, kept in bytes and opened from them. `parts` are those of all boards that were kept before."""
    kept, new = keep(board, (Witness(board.position, b"digest"),))
    parts |= new
    found = decode_kept(encode_kept(kept))
    assert found == kept
    opened = open_kept(kept, parts)
    assert opened is not None
    return opened


@given(
    st.one_of(histories, wild_histories),
    st.dictionaries(st.integers(0, 60), st.sampled_from(["ask", "keep", "open", "ask and open"])),
)
def test_packed_board_is_the_board(events: list[RecordedEvent], cuts: dict[int, str]) -> None:
    """Wherever the fold stops to be asked, kept, or opened from what was kept, and whatever was removed, damaged or adopted."""
    plain, packed = Board(), PackedBoard()
    parts: dict[bytes, bytes] = {}
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for start, end in pairwise(bounds):
        plain.fold(events[start:end])
        packed.fold(events[start:end])
        what = cuts.get(end, "")
        if "ask" in what:
            assert answers(packed) == answers(plain)
        if "keep" in what:
            kept_and_opened(packed, parts)
        if "open" in what:
            packed = kept_and_opened(packed, parts)
    assert answers(packed) == answers(plain)


@given(wild_histories, st.integers(0, 40))
def test_only_what_was_touched_is_packed_again(events: list[RecordedEvent], cut: int) -> None:
    """A board that is kept again has new bytes for the blocks with tasks of the events since, and for no other."""
    board = PackedBoard()
    board.fold(events[:cut])
    keep(board, ())
    before = {block.digest: set(block.summary.each_id()) for block in board.blocks}
    board.fold(events[cut:])
    board.count_unpacked()
    touched = {event.task for event in events[cut:]}
    for digest, ids in before.items():
        is_kept = any(block.digest == digest for block in board.blocks)
        assert is_kept or ids & touched or len(ids) < packed_board.BLOCK_TASKS


@given(histories, st.data())
def test_damaged_bytes_are_no_board(events: list[RecordedEvent], data: st.DataObject) -> None:
    """Any byte that is changed, or any part that is missing or another part, is noticed before anything is read."""
    board = PackedBoard()
    board.fold(events)
    kept, parts = keep(board, ())
    record_bytes = bytearray(encode_kept(kept))
    record_bytes[data.draw(st.integers(0, len(record_bytes) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode_kept(bytes(record_bytes)) is None
    assert decode_kept(encode_kept(kept)[:-1]) is None
    assert decode_kept(b"") is None
    for digest in parts:
        part = bytearray(parts[digest])
        part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
        assert open_kept(kept, parts | {digest: bytes(part)}) is None
        assert open_kept(kept, {each: parts[each] for each in parts if each != digest}) is None
    assert open_kept(kept, parts) is not None


def test_a_program_of_another_format_does_not_know_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board whose bytes would mean something else is folded again."""
    kept = encode_kept(KeptBoard("1-1", b"", ()))
    assert decode_kept(kept) is not None
    monkeypatch.setattr(kept_board, "_FORMAT", b"another")
    assert decode_kept(kept) is None


@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize("number", range(1, 6))
def test_task_that_came_back_is_the_newest(number: int, is_asked: bool) -> None:
    """Removed and created again between two questions, it is where a board has it: behind all others."""
    creations: list[tuple[int, Event]] = [(each, TaskCreated(f"Task {each}", ())) for each in range(1, 6)]
    events = _in_order([*creations, (number, TaskRemoved()), (number, TaskCreated("Again", ())), (3, TaskNoted("x"))])
    plain, packed = Board(), PackedBoard()
    plain.fold(events)
    packed.fold(events[:5])
    opened = kept_and_opened(packed, {})
    for board in (packed, opened):
        board.fold(events[5:6])
        if is_asked:
            assert board.page().total == 4
        board.fold(events[6:])
        assert answers(board) == answers(plain)
    assert [task.id for task in packed.page().tasks][-1] == task_id(number)
