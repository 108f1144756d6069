"""How people name a task: by id, by a unique prefix, or by alias."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from ledger import Keys, TaskAmbiguousError, TaskCreated, TaskNotFoundError, TaskRemoved, task_id_of_alias
from tests.support.builders import append, task_id
from town.backend import Backend
from town.reading.past import Past
from town.reading.present import Present
from town.reading.references import References

TOWN = "harbour"
KEYS = Keys(TOWN)
ALIASED = task_id_of_alias(TOWN, "bd-1")
GONE = task_id_of_alias(TOWN, "gone")
ONE, TWO, TEN = task_id(1), task_id(2), task_id(10)
TASKS = {ONE: None, TWO: None, TEN: None, ALIASED: "bd-1"}

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
def backend(client: redis.Redis) -> Backend:
    """A town with these tasks, but for `gone`, which was removed."""
    backend = Backend(client, KEYS, folder=Path(), actor="alice")
    for task, alias in TASKS.items():
        append(backend.store, [TaskCreated("a", alias=alias)], task=task)
    append(backend.store, [TaskCreated("gone", alias="gone"), TaskRemoved()], task=GONE)
    return backend


@pytest.fixture(params=["now", "then"])
def references(request: pytest.FixtureRequest, backend: Backend) -> References:
    """References on the board as it is, and on the same board as an earlier one, after which all was removed."""
    end = backend.store.end()
    if request.param == "then":
        for task in TASKS:
            append(backend.store, [TaskRemoved()], task=task, expected=1)
    backend.upkeep.catch_up()
    return References(Present(backend) if request.param == "now" else Past(backend, end), town=TOWN)


@pytest.mark.parametrize(("reference", "task"), FOUND)
def test_reference_leads_to_the_one_task(references: References, reference: str, task: str) -> None:
    """Id, prefix and alias, in any case where they are ids, trimmed; now and on an earlier board alike."""
    assert references.resolve(reference) == task


@pytest.mark.parametrize("reference", NOT_FOUND, ids=lambda text: ascii(text[:20]))
def test_reference_that_names_nothing_is_refused(references: References, reference: str) -> None:
    """What names no task is said to name none; nothing is guessed and no pattern is obeyed."""
    with pytest.raises(TaskNotFoundError):
        references.resolve(reference)


@pytest.mark.parametrize("reference", AMBIGUOUS)
def test_prefix_of_several_tasks_is_refused_with_the_candidates(references: References, reference: str) -> None:
    """The error names the tasks it could be."""
    with pytest.raises(TaskAmbiguousError) as caught:
        references.resolve(reference)
    assert {ONE, TWO} <= set(caught.value.candidates)


@pytest.mark.parametrize("is_then", [False, True])
def test_alias_that_looks_like_a_prefix_wins(backend: Backend, *, is_then: bool) -> None:
    """An alias names one task, whatever ids begin with its letters."""
    aliased = task_id_of_alias(TOWN, "0000")
    append(backend.store, [TaskCreated("a", alias="0000")], task=aliased)
    backend.upkeep.catch_up()
    board = Past(backend, backend.store.end()) if is_then else Present(backend)
    assert References(board, town=TOWN).resolve("0000") == aliased


def test_removed_task_is_found_by_alias_and_for_its_history(references: References) -> None:
    """A removed task has an alias and a history still; its prefix counts only where removed tasks are asked for."""
    assert references.resolve("gone") == GONE
    assert references.resolve(GONE[:10], is_removed_too=True) == GONE
    with pytest.raises(TaskNotFoundError):
        references.resolve(GONE[:10])


def test_alias_of_another_town_is_not_found(backend: Backend) -> None:
    """The same alias is another task in another town."""
    backend.upkeep.catch_up()
    for board in (Present(backend), Past(backend, backend.store.end())):
        with pytest.raises(TaskNotFoundError):
            References(board, town="other").resolve("bd-1")
