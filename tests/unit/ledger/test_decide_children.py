"""Deciding about tasks with children, and about a task that is taken back for somebody else."""

from __future__ import annotations

import pytest

from ledger import (
    CompleteTask,
    RequeueTask,
    State,
    TaskAssigned,
    TaskCompleted,
    TaskFinishedError,
    TaskHasOpenChildrenError,
    TaskRequeued,
    TaskStarted,
    decide,
)
from tests.support.builders import TASK, a_task_in


def test_complete_is_refused_where_children_are_open() -> None:
    """The refusal says how many, and of which task."""
    with pytest.raises(TaskHasOpenChildrenError, match="2 open tasks right below it") as refused:
        decide(a_task_in(State.RUNNING), CompleteTask(task_id=TASK, open_children=2))
    assert refused.value.children == 2
    assert str(refused.value) == f"Task {TASK} has 2 open tasks right below it."


def test_complete_goes_on_where_no_child_is_open() -> None:
    """Finished children are no obstacle."""
    events = decide(a_task_in(State.ASSIGNED), CompleteTask(task_id=TASK, open_children=0))
    assert events == [TaskStarted(), TaskCompleted(None)]


def test_complete_that_is_true_already_asks_for_no_children() -> None:
    """Repeating it appends nothing, whatever came below the task since."""
    done = a_task_in(State.COMPLETED, result="done")
    assert decide(done, CompleteTask(task_id=TASK, result="done", open_children=3)) == []


def test_finished_task_is_refused_for_that_and_not_for_its_children() -> None:
    """The nearer reason is the one that is told."""
    with pytest.raises(TaskFinishedError):
        decide(a_task_in(State.FAILED), CompleteTask(task_id=TASK, open_children=3))


@pytest.mark.parametrize("state", [State.ASSIGNED, State.RUNNING])
def test_requeue_for_an_agent_is_two_facts(state: State) -> None:
    """It goes back to the backlog and to the agent in one append, so nobody takes it in between."""
    assert decide(a_task_in(state), RequeueTask(task_id=TASK, agent="carl")) == [TaskRequeued(), TaskAssigned("carl")]
    assert decide(a_task_in(state), RequeueTask(task_id=TASK)) == [TaskRequeued()]
    assert decide(a_task_in(State.PENDING), RequeueTask(task_id=TASK, agent="carl")) == [TaskAssigned("carl")]
