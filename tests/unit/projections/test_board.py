"""The board: all tasks at one position, in memory, and the questions it answers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    Event,
    Position,
    RecordedEvent,
    SequenceGapError,
    State,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskNoted,
    TaskRemoved,
    TaskStarted,
    TaskTagged,
)
from projections import Board, TaskFilter
from tests.support.builders import START_MS, TASK, recorded, task_id

A, B, C = task_id(1), task_id(2), task_id(3)


def ledger_of(*facts: tuple[str, Event]) -> list[RecordedEvent]:
    """Facts of several tasks in the order of one town, numbered from 1, each with its task's next version."""
    versions: dict[str, int] = {}
    events = []
    for seq, (task, data) in enumerate(facts, 1):
        versions[task] = versions.get(task, 0) + 1
        event = recorded([data], task=task, first_version=versions[task])[0]
        events.append(replace(event, at=str(Position.of(ms=START_MS + seq, seq=seq))))
    return events


HISTORY = ledger_of(
    (B, TaskCreated("b", ("x",))),
    (A, TaskCreated("a", ("x", "y"), B)),
    (A, TaskAssigned("bob")),
    (C, TaskCreated("c")),
    (A, TaskStarted()),
    (C, TaskRemoved()),
    (B, TaskAssigned("ada")),
    (A, TaskCompleted("ok")),
    (C, TaskCreated("c again", ("y",), B)),
)


@pytest.fixture
def board() -> Board:
    board = Board()
    board.fold(HISTORY)
    return board


def ids(board: Board, wanted: TaskFilter) -> list[str]:
    return [task.id for task in board.page(wanted).tasks]


def test_board_before_the_first_event_is_empty() -> None:
    """An empty town has no tasks, and counts them."""
    board = Board()
    assert (board.position, board.tasks, board.page().total) == (BEGINNING, {}, 0)
    assert board.count_states() == dict.fromkeys(State, 0)
    assert board.count_agents() == {}


def test_board_stands_at_the_last_event(board: Board) -> None:
    """After a fold the board is at the position of the last event; folding none moves nothing."""
    board.fold([])
    assert board.position == HISTORY[-1].position


@pytest.mark.parametrize("size", range(1, len(HISTORY) + 1))
def test_board_in_batches_is_the_whole(board: Board, size: int) -> None:
    """However the ledger is cut into batches, the board is the same."""
    pieces = Board()
    for start in range(0, len(HISTORY), size):
        pieces.fold(HISTORY[start : start + size])
    assert (pieces.tasks, pieces.position) == (board.tasks, board.position)


def test_removed_task_is_gone_and_comes_back(board: Board) -> None:
    """Removed, it is not on the board; created again, its versions go on and it is the youngest."""
    earlier = Board()
    earlier.fold(HISTORY[:6])
    assert earlier.get(C) is None
    task = board.get(C)
    assert task is not None
    assert (task.version, task.description, task.created_number) == (3, "c again", 9)


def test_page_is_in_the_order_of_creation(board: Board) -> None:
    """Oldest first, by the event that created the task, not by id."""
    assert ids(board, TaskFilter()) == [B, A, C]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TaskFilter(state=State.COMPLETED), [A]),
        (TaskFilter(state=State.FAILED), []),
        (TaskFilter(agent="ada"), [B]),
        (TaskFilter(agent="nobody"), []),
        (TaskFilter(tag="x"), [B, A]),
        (TaskFilter(tag="y"), [A, C]),
        (TaskFilter(parent=B), [A, C]),
        (TaskFilter(tag="y", parent=B, state=State.PENDING), [C]),
        (TaskFilter(tag="x", agent="bob", state=State.COMPLETED, parent=B), [A]),
        (TaskFilter(tag="x", agent="bob", state=State.ASSIGNED, parent=B), []),
    ],
)
def test_filter_conditions_all_hold(board: Board, wanted: TaskFilter, found: list[str]) -> None:
    """Conditions combine; a task that misses one is not shown."""
    assert ids(board, wanted) == found


@pytest.mark.parametrize(
    ("offset", "limit", "found"),
    [(0, 2, [B, A]), (2, 2, [C]), (1, None, [A, C]), (3, 2, []), (0, 0, []), (9, None, [])],
)
def test_page_is_a_part_and_counts_all(board: Board, offset: int, limit: int | None, found: list[str]) -> None:
    """A page tells how many match in all."""
    page = board.page(offset=offset, limit=limit)
    assert ([task.id for task in page.tasks], page.total) == (found, 3)


def test_find_gives_ids_in_order(board: Board) -> None:
    """Ids that begin with a prefix, sorted, at most `limit`."""
    assert board.find("00000000", limit=5) == [A, B, C]
    assert board.find("00000000", limit=2) == [A, B]
    assert board.find(B, limit=5) == [B]
    assert board.find("f", limit=5) == []


def test_counts_are_by_state_and_agent(board: Board) -> None:
    """All states are there, agents are sorted."""
    assert board.count_states() == dict.fromkeys(State, 0) | {
        State.PENDING: 1,
        State.ASSIGNED: 1,
        State.COMPLETED: 1,
    }
    nothing = dict.fromkeys(State, 0)
    assert list(board.count_agents().items()) == [
        ("ada", nothing | {State.ASSIGNED: 1}),
        ("bob", nothing | {State.COMPLETED: 1}),
    ]


@pytest.mark.parametrize(
    ("events", "expected", "found"),
    [
        (recorded([TaskCreated("a")], first_version=2), 1, 2),
        (recorded([TaskCreated("a"), TaskRemoved()]) + recorded([TaskCreated("b")], first_version=1), 3, 1),
        (recorded([TaskCreated("a"), TaskRemoved()]) + recorded([TaskCreated("b")], first_version=4), 3, 4),
        (recorded([TaskCreated("a")]) + recorded([TaskNoted("x")], first_version=3), 2, 3),
    ],
    ids=["first", "restarted after removal", "lost after removal", "lost between"],
)
def test_version_gap_is_damage(events: list[RecordedEvent], expected: int, found: int) -> None:
    """A lost event is told by the version that is missing (P3), also around a removal."""
    with pytest.raises(SequenceGapError) as caught:
        Board().fold(events)
    assert (caught.value.expected, caught.value.found) == (expected, found)
    assert caught.value.position == events[-1].position


def test_event_of_a_missing_task_is_damage_of_that_task_alone() -> None:
    """An event of a task that the ledger never created makes none; its versions go on, and other tasks are folded."""
    board = Board()
    board.fold(recorded([TaskTagged(("x",))]) + recorded([TaskCreated("a")], task=task_id(2)))
    assert (set(board.tasks), board.removed[TASK][0]) == ({task_id(2)}, 1)
    with pytest.raises(SequenceGapError):
        board.fold(recorded([TaskTagged(("x",))], first_version=3))
