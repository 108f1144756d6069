"""What all views together hold of many tasks: gathered for tasks that are alike at once, it is what each by itself gives."""

from __future__ import annotations

from collections import Counter, defaultdict

from ledger import Keys, State, Task, TaskAssigned, TaskCreated, TaskRemoved
from projections import VIEWS, Counted, Member, Ranked
from projections.entries import Contents, ViewEntries
from tests.support.builders import a_task_in, recorded, task_id

KEYS = Keys("harbour")
TASKS = [
    a_task_in(state, id=task_id(number), created_number=number, tags=tags, assigned_to=agent, parent_id=parent)
    for number, (state, tags, agent, parent) in enumerate(
        (state, tags, agent, parent)
        for state in State
        for tags in ((), ("a",), ("a", "b"))
        for agent in (None, "ada", "ben")
        for parent in (None, task_id(900), task_id(901))
    )
]


def one_by_one(entries: ViewEntries, tasks: list[Task]) -> Contents:
    contents = Contents(defaultdict(list), defaultdict(dict), defaultdict(Counter))
    for task in tasks:
        for key, entry in entries.of(task):
            match entry:
                case Member():
                    contents.members[key].append(task.id)
                case Ranked():
                    assert entry.score is not None
                    contents.scores[key][task.id] = entry.score
                case Counted():
                    contents.counts[key][entry.field] += 1
    return contents


def test_contents_of_many_tasks_are_those_of_each() -> None:
    """Every key, every member once, every score and every count."""
    entries = ViewEntries(KEYS, VIEWS)
    found, expected = entries.contents(TASKS), one_by_one(entries, TASKS)
    assert {key: sorted(members) for key, members in found.members.items()} == {
        key: sorted(members) for key, members in expected.members.items()
    }
    assert found.scores == expected.scores
    assert found.counts == expected.counts


def test_tasks_that_move_alike_are_all_moved() -> None:
    """Three pending tasks get an agent in one batch; each is taken from one set and put into another, and counted."""
    ids = [task_id(number) for number in range(3)]
    tasks: dict[str, Task | None] = {id_: a_task_in(State.PENDING, id=id_) for id_ in ids}
    events = [event for id_ in ids for event in recorded([TaskAssigned("ada")], task=id_, first_version=2)]
    operations = {
        (operation, key): arguments
        for operation, key, arguments in ViewEntries(KEYS, VIEWS).project(tasks, events).operations()
    }
    assert operations["SREM", KEYS.view("backlog")] == ids
    assert operations["SREM", KEYS.view("state", "pending")] == ids
    assert operations["SADD", KEYS.view("state", "assigned")] == ids
    assert operations["SADD", KEYS.view("agent", "ada")] == ids
    assert operations["COUNT", KEYS.view("counts", "state")] == ["pending", -3, "assigned", 3]
    assert not operations.get(("ZADD", KEYS.view("ids")))


def test_task_that_comes_and_goes_in_one_batch_leaves_no_entry() -> None:
    """Created and removed before anybody saw it: nothing is added, and its snapshot is deleted."""
    tasks: dict[str, Task | None] = {task_id(1): None}
    events = recorded([TaskCreated("a", tags=("x",)), TaskRemoved()], task=task_id(1))
    changes = ViewEntries(KEYS, VIEWS).project(tasks, events)
    assert changes.snapshots == {KEYS.task(task_id(1)): None}
    assert all(operation == "COUNT" for operation, _, arguments in changes.operations() if arguments)
