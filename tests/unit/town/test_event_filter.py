"""Which events a reader wants, and who had a task when they happened."""

from __future__ import annotations

import pytest

from ledger import (
    Event,
    Position,
    RecordedEvent,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    record,
)
from tests.support.builders import an_event, recorded, task_id
from town import EventFilter
from town.reading.event_filter import EVERY_EVENT, Holders

NOTED = record(an_event(TaskNoted("x"), actor="alice"), Position("5-1"))


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        (EVERY_EVENT, True),
        (EventFilter(actor="alice"), True),
        (EventFilter(actor="bob"), False),
        (EventFilter(actor="alic"), False),
        (EventFilter(type="task.noted"), True),
        (EventFilter(type="noted"), False),
        (EventFilter(type="task.created"), False),
        (EventFilter(actor="alice", type="task.noted"), True),
        (EventFilter(actor="alice", type="task.created"), False),
        (EventFilter(actor="bob", type="task.noted"), False),
        (EventFilter(agent="anybody"), True),
    ],
)
def test_filter_matches_where_all_conditions_hold(wanted: EventFilter, *, is_wanted: bool) -> None:
    """Actor and type are compared whole; who had the task is not the event's to say."""
    assert wanted.matches(NOTED) is is_wanted


def concerned(events: list[RecordedEvent], agent: str) -> list[int]:
    """Which of the events, counted from 1, concern the agent."""
    holders = Holders()
    return [number for number, event in enumerate(events, 1) if holders.concerns(event, agent)]


@pytest.mark.parametrize(
    ("facts", "adas", "bobs"),
    [
        ([TaskCreated("a"), TaskNoted("x")], [], []),
        ([TaskCreated("a"), TaskAssigned("ada"), TaskNoted("x"), TaskStarted(), TaskCompleted()], [2, 3, 4, 5], []),
        ([TaskCreated("a"), TaskAssigned("ada"), TaskAssigned("bob"), TaskStarted()], [2, 3], [3, 4]),
        ([TaskCreated("a"), TaskAssigned("ada"), TaskRequeued(), TaskNoted("x")], [2, 3], []),
        ([TaskCreated("a"), TaskAssigned("ada"), TaskCancelled(), TaskReopened(), TaskNoted("x")], [2, 3, 4], []),
        ([TaskCreated("a"), TaskAssigned("ada"), TaskRemoved(), TaskCreated("b"), TaskAssigned("bob")], [2, 3], [5]),
    ],
    ids=["nobody", "to the end", "handed over", "requeued", "reopened", "removed"],
)
def test_event_concerns_who_had_the_task_before_or_after(facts: list[Event], adas: list[int], bobs: list[int]) -> None:
    """An agent sees what made a task its own, all that happened while it was, and what took it away."""
    events = recorded(facts)
    assert concerned(events, "ada") == adas
    assert concerned(events, "bob") == bobs


def test_holders_are_told_apart_by_task() -> None:
    """What one task's agent does says nothing of another task."""
    one = recorded([TaskCreated("a"), TaskAssigned("ada")], task=task_id(1))
    two = recorded([TaskCreated("b"), TaskNoted("x")], task=task_id(2))
    assert concerned([*one, *two], "ada") == [2]
