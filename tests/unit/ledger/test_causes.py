"""Causes: what each event meant for the task that it met."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger import (
    Event,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
)
from ledger.causes import LOST, causes
from tests.support.builders import recorded

CREATED = TaskCreated("a")
RUNNING = (CREATED, TaskAssigned("ada"), TaskStarted())


@pytest.mark.parametrize(
    ("facts", "kinds"),
    [
        ((CREATED,), ["created"]),
        (RUNNING, ["created", "given", "started"]),
        ((CREATED, TaskAssigned("alice")), ["created", "taken"]),
        ((*RUNNING, TaskAssigned("bob")), ["created", "given", "started", "handed over"]),
        ((*RUNNING, TaskRequeued(), TaskAssigned("bob")), ["created", "given", "started", "requeued", "given"]),
        ((*RUNNING, TaskCompleted("x"), TaskReopened()), ["created", "given", "started", "completed", "reopened"]),
        ((*RUNNING, TaskFailed("x")), ["created", "given", "started", "failed"]),
        ((CREATED, TaskCancelled("x")), ["created", "cancelled"]),
        ((CREATED, TaskRemoved()), ["created", "removed"]),
        (
            (*RUNNING, TaskAsked("Which?"), TaskRequeued(), TaskAnswered("red")),
            ["created", "given", "started", "asked", "requeued", "answered"],
        ),
        ((CREATED, TaskRemoved(), CREATED), ["brought back"]),
        ((CREATED, TaskNoted("n"), TaskTagged(("x",), ())), ["created"]),
        ((CREATED, TaskCompleted("x"), TaskAssigned("ada")), ["created", "damaged"]),
    ],
)
def test_causes_are_what_moved_the_task(facts: tuple[Event, ...], kinds: list[str]) -> None:
    """From its creation, or from its return, on; what does not move it is none, nor is what follows damage."""
    assert [cause.kind for cause in causes(recorded(facts))] == kinds


def test_task_taken_back_from_a_lost_runner_is_lost() -> None:
    """The reason tells; of other words it is put back by hand."""
    *first, last = recorded((*RUNNING, TaskRequeued()))
    lost = causes([*first, replace(last, reason=f"{LOST} tt work 1a2b of host 7, of ada, has no heartbeat")])[-1]
    assert (lost.kind, lost.agent_before, lost.agent_after) == ("lost", "ada", None)
    assert causes([*first, replace(last, reason="I lost my keys")])[-1].kind == "requeued"


def test_cause_tells_who_had_the_task_before_and_after() -> None:
    """And in which states it was; None where there was no task."""
    created, _, _, handed_over = causes(recorded((*RUNNING, TaskAssigned("bob"))))
    assert (created.state_before, created.state_after, created.agent_before) == (None, "pending", None)
    assert (handed_over.state_before, handed_over.state_after) == ("running", "assigned")
    assert (handed_over.agent_before, handed_over.agent_after) == ("ada", "bob")
