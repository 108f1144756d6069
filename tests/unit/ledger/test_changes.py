"""What each event of a history changed."""

from __future__ import annotations

import pytest

from ledger import (
    Change,
    Event,
    State,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskMoved,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskStarted,
    TaskTagged,
    compare,
    steps,
)
from tests.support.builders import a_task, a_task_in, recorded, task_id

PARENT = task_id(7)
HISTORY: list[tuple[Event, tuple[Change, ...]]] = [
    (
        TaskCreated("a", ("x",)),
        (Change("description", None, "a"), Change("state", None, "pending"), Change("tags", None, ("x",))),
    ),
    (TaskAssigned("bob"), (Change("state", "pending", "assigned"), Change("assigned_to", None, "bob"))),
    (TaskNoted("Going"), ()),
    (TaskStarted(), (Change("state", "assigned", "running"),)),
    (TaskDescribed("b"), (Change("description", "a", "b"),)),
    (TaskMoved(PARENT), (Change("parent_id", None, PARENT),)),
    (TaskTagged((), ("x",)), (Change("tags", ("x",), None),)),
    (TaskCompleted("ok"), (Change("state", "running", "completed"), Change("result", None, "ok"))),
    (
        TaskReopened(),
        (Change("state", "completed", "pending"), Change("assigned_to", "bob", None), Change("result", "ok", None)),
    ),
    (
        TaskRemoved(),
        (Change("description", "b", None), Change("state", "pending", None), Change("parent_id", PARENT, None)),
    ),
    (TaskCreated("c"), (Change("description", None, "c"), Change("state", None, "pending"))),
]


def test_steps_show_what_each_event_changed() -> None:
    """A step is one event and the fields it changed, before and after, through removal and return."""
    events = recorded([data for data, _ in HISTORY])
    shown = steps(events)
    assert [step.event for step in shown] == events
    assert [step.changes for step in shown] == [changes for _, changes in HISTORY]


def test_steps_of_no_history_are_none() -> None:
    """Where nothing happened, there is nothing to show."""
    assert steps([]) == []


@pytest.mark.parametrize("state", State)
def test_compare_of_the_same_task_is_empty(state: State) -> None:
    """Versions and times differ with every event and are not compared."""
    assert compare(a_task_in(state), a_task_in(state, version=9, updated_at_ms=9, created_number=4)) == ()


def test_compare_of_absent_tasks_is_empty() -> None:
    """Nothing before and nothing after is no change; a field that is empty in both is none either."""
    assert compare(None, None) == ()
    assert compare(None, a_task()) == (
        Change("description", None, "Implement user authentication"),
        Change("state", None, "pending"),
    )
