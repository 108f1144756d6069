"""How people name a task: by id, by a unique prefix, or by alias."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from ledger import EventStore, Keys, Task, TaskAmbiguousError, TaskCreated, TaskNotFoundError, task_id_of_alias
from projections import Board, LiveBoard, encode_snapshot
from tests.support.builders import a_task, append, task_id
from town.reading.references import References, find_on_board

TOWN = "harbour"
KEYS = Keys(TOWN)
ALIASED = task_id_of_alias(TOWN, "bd-1")
GONE = task_id_of_alias(TOWN, "gone")
ONE, TWO, TEN = task_id(1), task_id(2), task_id(10)
TASKS = [a_task(id=id_) for id_ in (ONE, TWO, TEN)] + [a_task(id=ALIASED, alias="bd-1")]

FOUND = [
    (ONE, ONE),
    (TEN.upper(), TEN),
    (f" {TWO}\n", TWO),
    (ONE[:-1] + "1", ONE),
    (TEN[:-1], TEN),
    ("bd-1", ALIASED),
    (" bd-1 ", ALIASED),
    (ALIASED[:8], ALIASED),
    (ALIASED[:8].upper(), ALIASED),
]
NOT_FOUND = ["", "  ", "bd-2", "BD-1", "no such task", "ffffffff-ffff", "zz", "*", "\udcff", "x" * 200]
AMBIGUOUS = ["0", "00000000", ONE[:-1]]


@pytest.fixture
def board() -> Board:
    board = Board()
    board.tasks = {task.id: task for task in TASKS}
    return board


@pytest.fixture
def references() -> Iterator[References]:
    """References of a town in memory, whose snapshots and ids are put there by hand; `gone` was removed."""
    with fakeredis.FakeRedis(version=(7,)) as client:
        for task in TASKS:
            client.set(KEYS.task(task.id), encode_snapshot(task))
            client.zadd(KEYS.view("ids"), {task.id: 0})
        store = EventStore(client, KEYS)
        append(store, [TaskCreated("gone", alias="gone")], task=GONE)
        yield References(store, LiveBoard(client, KEYS), town=TOWN)


@pytest.mark.parametrize(("reference", "task"), FOUND)
def test_reference_leads_to_the_one_task(references: References, board: Board, reference: str, task: str) -> None:
    """Id, prefix and alias, in any case where they are ids, trimmed; now and on an earlier board alike."""
    assert references.resolve(reference) == task
    assert find_on_board(board, reference, town=TOWN).id == task


@pytest.mark.parametrize("reference", NOT_FOUND, ids=lambda text: ascii(text[:20]))
def test_reference_that_names_nothing_is_refused(references: References, board: Board, reference: str) -> None:
    """What names no task is said to name none; nothing is guessed and no pattern is obeyed."""
    with pytest.raises(TaskNotFoundError):
        references.resolve(reference)
    with pytest.raises(TaskNotFoundError):
        find_on_board(board, reference, town=TOWN)


@pytest.mark.parametrize("reference", AMBIGUOUS)
def test_reference_that_names_several_is_refused(references: References, board: Board, reference: str) -> None:
    """A prefix of several ids shows them."""
    with pytest.raises(TaskAmbiguousError) as caught:
        references.resolve(reference)
    assert {ONE, TWO} <= set(caught.value.candidates)
    with pytest.raises(TaskAmbiguousError):
        find_on_board(board, reference, town=TOWN)


def test_alias_that_looks_like_a_prefix_wins(references: References, board: Board) -> None:
    """An alias names one task, whatever ids begin with its letters."""
    # Given a task whose alias is also the beginning of other ids
    aliased = a_task(id=task_id_of_alias(TOWN, "0000"), alias="0000")
    board.tasks[aliased.id] = aliased
    client = references._live._client
    client.set(KEYS.task(aliased.id), encode_snapshot(aliased))
    client.zadd(KEYS.view("ids"), {aliased.id: 0})
    # Then it is found by it
    assert references.resolve("0000") == aliased.id
    assert find_on_board(board, "0000", town=TOWN).id == aliased.id


def test_removed_task_is_found_by_alias_and_for_its_history(references: References) -> None:
    """A removed task has an alias and a history still; its prefix counts only where removed tasks are asked for."""
    assert references.resolve("gone") == GONE
    assert references.resolve(GONE[:10], is_removed_too=True) == GONE
    with pytest.raises(TaskNotFoundError):
        references.resolve(GONE[:10])


def test_alias_of_another_town_is_not_found(board: Board) -> None:
    """The same alias is another task in another town."""
    with pytest.raises(TaskNotFoundError):
        find_on_board(board, "bd-1", town="other")


def test_task_found_is_the_boards(board: Board) -> None:
    """What is handed back is the task as the board has it."""
    expected: Task = board.tasks[TEN]
    assert find_on_board(board, TEN[:-1], town=TOWN) is expected
