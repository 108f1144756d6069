"""What each view holds of a task."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from msgspec.structs import replace

from ledger import State, Task, task_id_of_alias
from projections import VIEWS, Counted, Member, Ranked, View
from projections.views.view import ViewEntry
from tests.support.builders import START_MS, a_task, a_task_in, task_id

PARENT = task_id(7)

NEW = a_task(created_number=3)
ASSIGNED = a_task_in(State.ASSIGNED, created_number=4, tags=("a", "two words"), parent_id=PARENT)
RUNNING = a_task_in(State.RUNNING, created_number=5, assigned_to="Ada: Lovelace")
COMPLETED = a_task_in(State.COMPLETED, created_number=6, tags=("a",))
CANCELLED = a_task_in(State.CANCELLED, created_number=7, assigned_to=None)
ADOPTED = a_task(alias="fix-bug")
LINKED = a_task(needs=(PARENT,), relates=(task_id(8),))
ASKED = a_task(question="Which?", asked_at_ms=7)
FAILED = a_task_in(State.FAILED, created_number=9, completed_at_ms=START_MS + 5, at=f"{START_MS + 5}-12")
REVIEW = a_task_in(State.RUNNING, created_number=10, tags=("a", "review"))
ENDED = a_task_in(State.COMPLETED, created_number=8, needs=(PARENT,), parent_id=PARENT)
PLANNED = a_task_in(State.RUNNING, id=task_id_of_alias("my-town", "fix-bug"), alias="fix-bug")

HELD: dict[str, list[tuple[Task, list[ViewEntry]]]] = {
    "backlog": [(NEW, [Member(None)]), (ASSIGNED, []), (RUNNING, []), (COMPLETED, []), (CANCELLED, [])],
    "agent": [
        (NEW, []),
        (ASSIGNED, [Member("worker-1")]),
        (RUNNING, [Member("Ada: Lovelace")]),
        (COMPLETED, [Member("worker-1")]),
        (CANCELLED, []),
    ],
    "alias": [
        (NEW, []),
        (ADOPTED, [Member(None), Member("fix-bug")]),
        (PLANNED, []),
    ],
    "link": [
        (NEW, []),
        (LINKED, [Member(f"needs:{PARENT}"), Member(f"relates:{task_id(8)}"), Counted(None, PARENT)]),
        (ENDED, [Member(f"needs:{PARENT}")]),
    ],
    "inbox": [
        (NEW, []),
        (ASKED, [Ranked("question", 7)]),
        (replace(ASKED, answer="red"), []),
        (replace(ASKED, state=State.CANCELLED), []),
        (FAILED, [Ranked("failed", FAILED.completed_at_ms)]),
        (replace(FAILED, at=f"{START_MS + 60_000}-99"), []),
        (REVIEW, [Ranked("review", REVIEW.created_at_ms)]),
        (replace(REVIEW, state=State.COMPLETED), []),
    ],
    "ready": [(NEW, []), (COMPLETED, [])],
    "parent": [(NEW, []), (ASSIGNED, [Member(PARENT), Counted(None, PARENT)]), (ENDED, [Member(PARENT)])],
    "state": [
        (NEW, [Member("pending")]),
        (ASSIGNED, [Member("assigned")]),
        (RUNNING, [Member("running")]),
        (COMPLETED, [Member("completed")]),
        (CANCELLED, [Member("cancelled")]),
    ],
    "tag": [(NEW, []), (ASSIGNED, [Member("a"), Member("two words")]), (COMPLETED, [Member("a")])],
    "counts": [
        (NEW, [Counted("state", "pending")]),
        (ASSIGNED, [Counted("state", "assigned"), Counted("agent", "assigned:worker-1")]),
        (RUNNING, [Counted("state", "running"), Counted("agent", "running:Ada: Lovelace")]),
        (CANCELLED, [Counted("state", "cancelled")]),
    ],
    "created": [(NEW, [Ranked(None, 3)]), (COMPLETED, [Ranked(None, 6)])],
    "ids": [(NEW, [Ranked(None, 0)]), (COMPLETED, [Ranked(None, 0)])],
    "throughput": [(NEW, []), (COMPLETED, [])],
}


def rows() -> Iterator[object]:
    for view, tasks in HELD.items():
        for task, entries in tasks:
            yield pytest.param(view, task, entries, id=f"{view}-{task.state}")


@pytest.mark.parametrize(("name", "task", "entries"), list(rows()))
def test_view_holds_of_a_task(name: str, task: Task, entries: list[ViewEntry]) -> None:
    """A view is a function of the task as it is: these entries, and no others."""
    view = next(view for view in VIEWS if view.name == name)
    assert list(view.entries(task)) == entries


def test_every_view_is_shown_here() -> None:
    """No view is left out of the table, and no two share a key."""
    names = [view.name for view in VIEWS]
    assert sorted(names) == sorted(HELD)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_view_looks_at_no_other_field_than_it_says(view: View) -> None:
    """Tasks that agree in `fields` are asked about once for all of them, so no other field may change the answer."""
    samples = (NEW, ASSIGNED, RUNNING, COMPLETED, CANCELLED, ADOPTED, PLANNED)
    for task, other in product(samples, samples):
        others = {name: getattr(other, name) for name in Task.__struct_fields__ if name not in view.fields}
        assert list(view.entries(replace(task, **others))) == list(view.entries(task))


def test_view_that_says_nothing_looks_at_every_field() -> None:
    """Whoever leaves `fields` out gets a view that is right, and slower."""
    assert View.fields == set(Task.__struct_fields__)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_entries_of_a_task_are_each_once(view: object) -> None:
    """An entry twice would be counted twice, and taken away once."""
    for task in (NEW, ASSIGNED, RUNNING, COMPLETED, CANCELLED):
        entries = list(next(each for each in VIEWS if each is view).entries(task))
        assert len(set(entries)) == len(entries)
