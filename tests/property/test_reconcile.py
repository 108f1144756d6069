"""Reconciling random tasks with random wishes."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import (
    DesiredTask,
    Event,
    LinkKind,
    NewEvent,
    Position,
    RecordedEvent,
    Schedule,
    Task,
    TaskReopened,
    reconcile,
    record,
)
from ledger.task import fold
from tests.property.histories import TASKS, histories
from tests.property.strategies import tasks, wishes
from tests.support.legality import Life, live


def life_of(task: Task) -> Life:
    return Life(str(task.state), task.assigned_to, task.result, task.description, task.parent_id, frozenset(task.tags))


def wished_life(wished: DesiredTask) -> Life:
    result = wished.result if wished.state.is_terminal else None
    return Life(str(wished.state), wished.agent, result, wished.description, wished.parent_id, frozenset(wished.tags))


def as_recorded(facts: list[Event], task: Task | None) -> list[RecordedEvent]:
    id_, version = (TASKS[0], 0) if task is None else (task.id, task.version)
    ms, seq = (0, 0) if task is None else (task.position.ms, task.position.seq)
    return [
        record(
            NewEvent(task=id_, version=version + number, actor="alice", command="c", data=data),
            Position.of(ms=ms, seq=seq + number),
        )
        for number, data in enumerate(facts, 1)
    ]


@given(st.none() | tasks(), wishes())
def test_reconcile_reaches_the_wish_legally(task: Task | None, wished: DesiredTask) -> None:
    """Every event is legal in the state it meets, and the last leads to the task as wished; folded, it is that task."""
    # A parent is taken as given: that it is not the task itself is the caller's to know.
    assume(wished.parent_id != (TASKS[0] if task is None else task.id))
    facts = reconcile(task, wished)
    assert live(facts, None if task is None else life_of(task)) == wished_life(wished)
    folded = fold(as_recorded(facts, task), None if task is None else replace(task))
    assert folded is not None
    assert life_of(folded) == wished_life(wished)
    assert facts_of(folded) == wished_facts(task, wished)


def facts_of(task: Task) -> dict[str, object]:
    """What a task takes in every state."""
    links = {str(kind): task.links(kind) for kind in LinkKind}
    return {"priority": task.priority, "schedule": Schedule(task.due_ms, task.not_before_ms)} | links


def wished_facts(task: Task | None, wished: DesiredTask) -> dict[str, object]:
    """What is wished for, and what the task has, or what nobody set, where nothing is."""
    nobody_set: dict[str, object] = {"priority": 2, "schedule": Schedule()} | {str(kind): () for kind in LinkKind}
    spoken_of = {"priority": wished.priority, "schedule": wished.schedule}
    return (
        (nobody_set if task is None else facts_of(task))
        | {name: value for name, value in spoken_of.items() if value is not None}
        | {str(kind): links for kind, links in wished.links.items()}
    )


@given(st.none() | tasks(), wishes())
def test_reconcile_a_second_time_is_empty(task: Task | None, wished: DesiredTask) -> None:
    """What is as wished needs nothing more."""
    # A parent is taken as given: that it is not the task itself is the caller's to know.
    assume(wished.parent_id != (TASKS[0] if task is None else task.id))
    facts = reconcile(task, wished)
    folded = fold(as_recorded(facts, task), None if task is None else replace(task))
    assert reconcile(folded, wished) == []


@given(tasks())
def test_reconcile_with_the_task_itself_is_empty(task: Task) -> None:
    """Saying what is so leads to no event."""
    wished = DesiredTask(
        description=task.description,
        state=task.state,
        agent=task.assigned_to,
        tags=task.tags,
        parent_id=task.parent_id,
        alias=task.alias,
        result=task.result,
        priority=task.priority,
        schedule=Schedule(task.due_ms, task.not_before_ms),
        links={kind: task.links(kind) for kind in LinkKind},
    )
    assert reconcile(task, wished) == []


@given(tasks())
def test_reconcile_with_removal_removes(task: Task) -> None:
    """A task that is wished away takes one event, whatever its state."""
    assert live(reconcile(task, None), life_of(task)) == Life()
    assert len(reconcile(task, None)) == 1


@given(st.none() | tasks(), wishes())
def test_reconcile_changes_no_task_it_looks_at(task: Task | None, wished: DesiredTask) -> None:
    """Reconciling is pure."""
    before = None if task is None else replace(task)
    reconcile(task, wished)
    assert task == before


@given(tasks(), wishes())
def test_reconcile_reopens_at_most_once(task: Task, wished: DesiredTask) -> None:
    """A finished task is opened only where the wish needs it, and once."""
    reopened = [fact for fact in reconcile(task, wished) if isinstance(fact, TaskReopened)]
    assert len(reopened) <= int(task.state.is_terminal)


@given(histories, wishes())
def test_reconcile_takes_up_any_history(events: list[RecordedEvent], wished: DesiredTask) -> None:
    """Wherever commands have led a task, reconcile leads on legally, also to one that was removed."""
    for id_ in TASKS:
        history = [event for event in events if event.task == id_]
        life = live(event.data for event in history)
        assert live(reconcile(fold(history), wished), life) == wished_life(wished)
