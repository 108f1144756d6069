"""What a plan makes of a task as it is, and what it leaves as it is."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import State, Task, TaskReopened, TaskRequeued, reconcile
from tests.support.builders import a_task_in
from town.plans.desired import Kept, desired
from town.plans.plan import PlannedTask

TEXT = "Implement user authentication"
DEFAULT, ACTOR = "default", "eve"
P, A, R = State.PENDING, State.ASSIGNED, State.RUNNING
DONE, FAILED, GONE = State.COMPLETED, State.FAILED, State.CANCELLED


def progress(
    task: Task | None, *, default: str | None = None, is_forced: bool = False, **said: Any
) -> tuple[tuple[State, str | None, str | None], list[tuple[str, str | None, str | None]]]:
    """State, agent and result that are target, and what stays."""
    planned = PlannedTask("a", TEXT, **said)
    target, kept = desired(
        planned, task, alias="a", parent_id=None, default_agent=default, actor=ACTOR, is_forced=is_forced
    )
    return (target.state, target.agent, target.result), [(each.field, each.town, each.plan) for each in kept]


# What the file says of a task that is not there yet; the default agent; state, agent and result.
NEW: list[tuple[dict[str, Any], str | None, tuple[State, str | None, str | None]]] = [
    ({}, None, (P, None, None)),
    ({}, DEFAULT, (A, DEFAULT, None)),
    ({"status": P}, DEFAULT, (A, DEFAULT, None)),
    ({"agent": "ada"}, None, (A, "ada", None)),
    ({"agent": "ada", "status": P}, DEFAULT, (A, "ada", None)),
    ({"agent": ""}, DEFAULT, (P, None, None)),
    ({"agent": "", "status": GONE}, DEFAULT, (GONE, None, None)),
    ({"status": A}, None, (A, ACTOR, None)),
    ({"status": R}, DEFAULT, (R, DEFAULT, None)),
    ({"status": R, "result": "x"}, None, (R, ACTOR, None)),
    ({"status": DONE, "agent": "ada", "result": "ok"}, None, (DONE, "ada", "ok")),
    ({"status": FAILED}, None, (FAILED, ACTOR, None)),
    ({"status": GONE}, DEFAULT, (GONE, None, None)),
]


@pytest.mark.parametrize(("said", "default", "target"), NEW, ids=range(len(NEW)))
def test_new_task_is_as_the_file_says(
    said: dict[str, Any], default: str | None, target: tuple[State, str | None, str | None]
) -> None:
    """With an agent it is assigned at least; where it must be somebody's it is the default agent's, else the actor's."""
    assert progress(None, default=default, **said) == (target, [])


# A task's state, where worker-1 has it from assigned on; what the file says; what is target; what stays.
MET: list[tuple[State, dict[str, Any], tuple[State, str | None], list[tuple[str, str | None, str | None]]]] = [
    (P, {}, (P, None), []),
    (P, {"agent": "ada"}, (A, "ada"), []),
    (P, {"status": DONE}, (DONE, ACTOR), []),
    (A, {}, (A, "worker-1"), []),
    (A, {"status": P}, (A, "worker-1"), [("status", "assigned", "pending")]),
    (A, {"agent": ""}, (A, "worker-1"), [("status", "assigned", "pending")]),
    (A, {"agent": "ada"}, (A, "ada"), []),
    (A, {"agent": "ada", "status": R}, (R, "ada"), []),
    (A, {"agent": "", "status": GONE}, (GONE, "worker-1"), [("agent", "worker-1", None)]),
    (A, {"status": R}, (R, "worker-1"), []),
    (A, {"status": GONE}, (GONE, "worker-1"), []),
    (R, {}, (R, "worker-1"), []),
    (R, {"status": P, "agent": "worker-1"}, (R, "worker-1"), [("status", "running", "pending")]),
    (R, {"agent": "ada"}, (R, "worker-1"), [("agent", "worker-1", "ada")]),
    (R, {"agent": "ada", "status": DONE}, (DONE, "worker-1"), [("agent", "worker-1", "ada")]),
    (R, {"status": FAILED}, (FAILED, "worker-1"), []),
    (DONE, {}, (DONE, "worker-1"), []),
    (DONE, {"status": DONE}, (DONE, "worker-1"), []),
    (DONE, {"status": R}, (DONE, "worker-1"), [("status", "completed", "running")]),
    (DONE, {"agent": "ada"}, (DONE, "worker-1"), [("agent", "worker-1", "ada")]),
    (DONE, {"agent": ""}, (DONE, "worker-1"), [("status", "completed", "pending")]),
    (DONE, {"result": "other"}, (DONE, "worker-1"), [("result", "completed", "other")]),
    (
        DONE,
        {"status": FAILED},
        (DONE, "worker-1"),
        [("status", "completed", "failed"), ("result", "completed", None)],
    ),
    (GONE, {"status": P}, (GONE, "worker-1"), [("status", "cancelled", "pending")]),
]


@pytest.mark.parametrize(("state", "said", "target", "kept"), MET, ids=range(len(MET)))
def test_task_never_goes_back(
    state: State,
    said: dict[str, Any],
    target: tuple[State, str | None],
    kept: list[tuple[str, str | None, str | None]],
) -> None:
    """What the file leaves open stays, what it takes further goes further, and what it would take back stays and is told."""
    found, stays = progress(a_task_in(state), **said)
    assert (found[:2], stays) == (target, kept)


@pytest.mark.parametrize("state", list(State))
def test_default_agent_is_for_tasks_that_nobody_has(state: State) -> None:
    """One that is somebody's stays so; of one that has ended nothing is said."""
    found, kept = progress(a_task_in(state), default=DEFAULT)
    assert found[1] == (DEFAULT if state is P else "worker-1")
    assert kept == []


FORCED: list[tuple[State, dict[str, Any], tuple[State, str | None], type[object] | None]] = [
    (R, {"status": P}, (P, None), TaskRequeued),
    (DONE, {"status": P}, (P, None), TaskReopened),
    (DONE, {"status": FAILED, "agent": "ada"}, (FAILED, "ada"), TaskReopened),
    (R, {"agent": "ada"}, (R, "ada"), None),
    (DONE, {}, (DONE, "worker-1"), None),
]


@pytest.mark.parametrize(("state", "said", "target", "event"), FORCED, ids=range(len(FORCED)))
def test_force_takes_back(
    state: State, said: dict[str, Any], target: tuple[State, str | None], event: type[object] | None
) -> None:
    """By requeue and reopen; what the file says nothing of stays."""
    task = a_task_in(state)
    planned = PlannedTask("a", TEXT, **said)
    found, kept = desired(planned, task, alias="a", parent_id=None, default_agent=None, actor=ACTOR, is_forced=True)
    assert ((found.state, found.agent), kept) == (target, ())
    assert event is None or event in {type(fact) for fact in reconcile(task, found)}


def test_ended_task_keeps_description_and_parent_and_takes_tags() -> None:
    """Changing the first two would open it again; the tags are the plan's in every state."""
    task = a_task_in(DONE, tags=("old",))
    planned = PlannedTask("a", "Other words", tags=("new",))
    target, kept = desired(planned, task, alias="a", parent_id="p", default_agent=None, actor=ACTOR)
    assert (target.description, target.parent_id, target.tags) == (TEXT, None, ("new",))
    assert kept == (Kept("description", TEXT, "Other words"), Kept("parent", None, "p"))
    assert [type(fact).__name__ for fact in reconcile(task, target)] == ["TaskTagged"]


def test_open_task_takes_all_that_is_to_be_done_from_the_plan() -> None:
    """Description, tags and parent: also none, where the file has none."""
    task = a_task_in(R, tags=("old",), parent_id="p")
    target, kept = desired(
        PlannedTask("a", "Other words"), task, alias="a", parent_id=None, default_agent=None, actor=ACTOR
    )
    assert (target.description, target.parent_id, target.tags, kept) == ("Other words", None, (), ())
