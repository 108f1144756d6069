"""What each event of a history changed."""

from __future__ import annotations

import pytest

from ledger import (
    Event,
    FieldChange,
    LinkKind,
    State,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    compare,
    steps,
)
from tests.support.builders import a_task, a_task_in, recorded, task_id

PARENT = task_id(7)
DUE = "2026-11-24T06:00:00.000Z"
HISTORY: list[tuple[Event, tuple[FieldChange, ...]]] = [
    (
        TaskCreated("a", ("x",)),
        (
            FieldChange("description", None, "a"),
            FieldChange("state", None, "pending"),
            FieldChange("tags", None, ("x",)),
        ),
    ),
    (TaskAssigned("bob"), (FieldChange("state", "pending", "assigned"), FieldChange("assigned_to", None, "bob"))),
    (TaskNoted("Going"), ()),
    (TaskStarted(), (FieldChange("state", "assigned", "running"),)),
    (TaskDescribed("b"), (FieldChange("description", "a", "b"),)),
    (TaskMoved(PARENT), (FieldChange("parent_id", None, PARENT),)),
    (TaskTagged((), ("x",)), (FieldChange("tags", ("x",), None),)),
    (TaskPrioritised(0), (FieldChange("priority", 2, 0),)),
    (TaskPrioritised(2), (FieldChange("priority", 0, 2),)),
    (TaskScheduled(DUE, None), (FieldChange("due", None, DUE),)),
    (TaskScheduled(None, DUE), (FieldChange("due", DUE, None), FieldChange("not_before", None, DUE))),
    (TaskScheduled(None, None), (FieldChange("not_before", DUE, None),)),
    (TaskLinked(LinkKind.DISCOVERED_FROM, PARENT), (FieldChange("discovered_from", None, (PARENT,)),)),
    (TaskUnlinked(LinkKind.DISCOVERED_FROM, PARENT), (FieldChange("discovered_from", (PARENT,), None),)),
    (TaskAsked("Why?", ("b", "a")), (FieldChange("question", None, "Why?"), FieldChange("choices", None, ("b", "a")))),
    (TaskAnswered("b"), (FieldChange("answer", None, "b"),)),
    (
        TaskAsked("Who?"),
        (
            FieldChange("question", "Why?", "Who?"),
            FieldChange("choices", ("b", "a"), None),
            FieldChange("answer", "b", None),
        ),
    ),
    (TaskCompleted("ok"), (FieldChange("state", "running", "completed"), FieldChange("result", None, "ok"))),
    (
        TaskReopened(),
        (
            FieldChange("state", "completed", "pending"),
            FieldChange("assigned_to", "bob", None),
            FieldChange("result", "ok", None),
        ),
    ),
    (
        TaskRemoved(),
        (
            FieldChange("description", "b", None),
            FieldChange("state", "pending", None),
            FieldChange("parent_id", PARENT, None),
            FieldChange("question", "Who?", None),
        ),
    ),
    (TaskCreated("c"), (FieldChange("description", None, "c"), FieldChange("state", None, "pending"))),
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
        FieldChange("description", None, "Implement user authentication"),
        FieldChange("state", None, "pending"),
    )
