"""Random plans and random towns: what a push reaches, and what a pull leaves as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import tomli
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger import State, Task, TaskReopened, TaskRequeued, from_ms, task_id_of_alias
from tests.property.examples import examples
from tests.property.plans import COMMENT, IDS, days, live_through, plan_texts
from town import Plan, PlannedTask, PlanRefusedError, Town, read_plan_file

EXAMPLES_MAX = 30
ACTOR = "eve"
RANKS = {State.PENDING: 0, State.ASSIGNED: 1, State.RUNNING: 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@contextmanager
def a_town(folder: Path, socket: Path, text: str) -> Iterator[Town]:
    """A new town on the session's server, with a plan beside it."""
    place = folder / uuid4().hex
    name = f"town-{uuid4().hex[:8]}"
    with Town.init(place, name=name, url=f"unix://{socket}", actor=ACTOR, is_registered=False) as town:
        (place / "tasks.toml").write_bytes(text.encode())
        yield town


def plan_of(town: Town) -> Plan:
    return read_plan_file(town.plans.path()).plan


def text_of(town: Town) -> str:
    return town.plans.path().read_bytes().decode()


def task_of(town: Town, planned: PlannedTask) -> Task | None:
    return next((task for task in town.page().tasks if task.alias == planned.id), None)


def was_removed(town: Town, name: str) -> bool:
    id_ = task_id_of_alias(town.name, name)
    return town.backend.store.head(id_)[0] > 0 and all(task.id != id_ for task in town.page().tasks)


def push_or_leave(town: Town, *, force: bool = False) -> None:
    """Push; a plan that does not fit the town, such as one whose parent was removed, is another test's."""
    before = town.end()
    try:
        town.plans.push(force=force)
    except PlanRefusedError:
        assert town.end() == before
        assume(False)


def state_of(planned: PlannedTask, plan: Plan) -> State:
    """The state that the plan says outright."""
    agent = planned.agent if planned.agent is not None else plan.default_agent
    if planned.status in (None, State.PENDING):
        return State.ASSIGNED if agent else State.PENDING
    assert planned.status is not None
    return planned.status


def decided(town: Town, planned: PlannedTask) -> tuple[object, ...]:
    """What the plan decides in every state: tags, priority, times and needs."""
    needs = {task_id_of_alias(town.name, needed) for needed in planned.needs}
    return planned.tags, planned.priority, planned.due, planned.not_before, tuple(sorted(needs))


def found(task: Task) -> tuple[object, ...]:
    """The same of a task."""
    times = (None if ms is None else from_ms(ms) for ms in (task.due_ms, task.not_before_ms))
    return task.tags, task.priority, *times, task.needs


def rank(state: State) -> int:
    return RANKS.get(state, 3)


def progress(task: Task | None) -> tuple[State, str | None, str | None]:
    return (State.PENDING, None, None) if task is None else (task.state, task.assigned_to, task.result)


def expected_progress(planned: PlannedTask, plan: Plan, was: Task | None) -> tuple[State, str | None, str | None]:
    """State, agent and result after a push, by the table of `docs/reference/tasks-toml.md`; `was` is open or not there."""
    now, holder, _ = progress(was)
    state = planned.status or now
    agent = planned.agent
    if state is State.PENDING and (agent or (agent is None and plan.default_agent)):
        state = State.ASSIGNED
    is_taken_back = planned.status is None and agent == "" and holder is not None
    if is_taken_back or rank(state) < rank(now):
        return progress(was)
    if agent is None:
        named = None if state in (State.PENDING, State.CANCELLED) else plan.default_agent or ACTOR
        agent = holder or named
    if holder is not None and (now is State.RUNNING or not agent):
        agent = holder
    return state, agent or None, planned.result if state.is_terminal else None


@examples(EXAMPLES_MAX)
@given(text=plan_texts())
def test_push_into_an_empty_town_reaches_the_plan(folder: Path, server_socket: Path, text: str) -> None:
    """Every task is there once, as the file says it."""
    with a_town(folder, server_socket, text) as town:
        town.plans.push()
        plan = plan_of(town)
        assert {task.alias for task in town.page().tasks} == {planned.id for planned in plan.tasks}
        for planned in plan.tasks:
            task = task_of(town, planned)
            assert task is not None
            assert task.description == planned.description
            assert found(task) == decided(town, planned)
            assert task.parent_id == (planned.parent and task_id_of_alias(town.name, planned.parent))
            assert task.state is state_of(planned, plan)
            assert task.result == (planned.result if task.state.is_terminal else None)
            if planned.agent and task.state is not State.PENDING:
                assert task.assigned_to == planned.agent


@examples(EXAMPLES_MAX)
@given(text=plan_texts(), day=days())
def test_push_reaches_the_plan_and_never_moves_a_task_backwards(
    folder: Path, server_socket: Path, text: str, day: list[st.SearchStrategy[object]]
) -> None:
    """What is to be done becomes the plan's unless it has ended; how far it is only grows, to exactly what the plan says.

    A second push appends nothing.
    """
    with a_town(folder, server_socket, text) as town:
        live_through(town, day)  # type: ignore[arg-type]  # hypothesis hands over the steps themselves
        before = {str(task.alias): task for task in town.page().tasks if task.alias}
        removed = {name for name in IDS if was_removed(town, name)}
        end = town.end()
        push_or_leave(town)
        appended = [event for event in town.events.last(count=None) if event.position > end]
        assert not any(isinstance(event.data, TaskRequeued | TaskReopened) for event in appended)
        plan = plan_of(town)
        for planned in plan.tasks:
            was, now = before.get(planned.id), task_of(town, planned)
            if planned.id in removed:
                assert now is None
                continue
            assert now is not None
            assert found(now) == decided(town, planned)
            assert rank(now.state) >= max(rank(was.state) if was else 0, rank(planned.status or State.PENDING))
            if was is None or not was.state.is_terminal:
                assert progress(now) == expected_progress(planned, plan, was)
                assert now.description == planned.description
                assert now.parent_id == (planned.parent and task_id_of_alias(town.name, planned.parent))
            else:
                assert (now.state, now.result, now.assigned_to) == (was.state, was.result, was.assigned_to)
        assert town.plans.push().positions == ()


@examples(EXAMPLES_MAX)
@given(text=plan_texts(), day=days())
def test_push_with_force_reaches_the_plan_whatever_happened(
    folder: Path, server_socket: Path, text: str, day: list[st.SearchStrategy[object]]
) -> None:
    """All that the file says is so afterwards, and a second time appends nothing."""
    with a_town(folder, server_socket, text) as town:
        live_through(town, day)  # type: ignore[arg-type]  # as above
        push_or_leave(town, force=True)
        plan = plan_of(town)
        for planned in plan.tasks:
            now = task_of(town, planned)
            assert now is not None
            assert now.description == planned.description
            assert found(now) == decided(town, planned)
            assert now.parent_id == (planned.parent and task_id_of_alias(town.name, planned.parent))
            if planned.status not in (None, State.PENDING):
                assert now.state is planned.status
            if planned.agent:
                assert now.assigned_to == planned.agent
            if planned.result and now.state.is_terminal:
                assert now.result == planned.result
        assert town.plans.push(force=True).positions == ()


@examples(EXAMPLES_MAX)
@given(text=plan_texts(), day=days())
def test_pull_then_push_appends_nothing_but_what_the_town_never_had(
    folder: Path, server_socket: Path, text: str, day: list[st.SearchStrategy[object]]
) -> None:
    """A pulled file shows the town; it stays without a fault, and pulling again leaves the same bytes."""
    with a_town(folder, server_socket, text) as town:
        live_through(town, day)  # type: ignore[arg-type]  # as above
        new = {name for name in IDS if not town.backend.store.head(task_id_of_alias(town.name, name))[0]}
        try:
            town.plans.pull()
        except PlanRefusedError:
            assert text_of(town) == text
            assume(False)
        pulled = text_of(town)
        town.plans.read()
        assert not town.plans.pull().has_changes
        assert text_of(town) == pulled
        names = {change.id for change in town.plans.push(dry_run=True).changes}
        assert names == {planned.id for planned in plan_of(town).tasks} & new
        assert not town.plans.push().kept
        town.plans.pull()
        assert town.plans.push().positions == ()
        assert town.plans.compare().is_equal


@examples(EXAMPLES_MAX)
@given(text=plan_texts(), day=days())
def test_push_then_pull_keeps_every_comment_and_the_order(
    folder: Path, server_socket: Path, text: str, day: list[st.SearchStrategy[object]]
) -> None:
    """Comments, order and keys of other people are those of the file before, but for tasks that the town has removed."""
    with a_town(folder, server_socket, text) as town:
        live_through(town, day)  # type: ignore[arg-type]  # as above
        kept_ids = [planned.id for planned in plan_of(town).tasks if not was_removed(town, planned.id)]
        is_whole = len(kept_ids) == len(plan_of(town).tasks)
        push_or_leave(town)
        town.plans.pull()
        after = text_of(town)
        assert [planned.id for planned in plan_of(town).tasks][: len(kept_ids)] == kept_ids
        if is_whole:
            assert comments(after) == comments(text)
            assert strange(after) == strange(text)
        assert set(comments(after)) <= set(comments(text))


def comments(text: str) -> list[str]:
    return re.findall(rf"{COMMENT} [0-9]+\.", text)


def strange(text: str) -> list[object]:
    """What the file has beyond a plan's own keys, task by task."""
    table = tomli.loads(text)
    found = [{key: task[key] for key in task if key in ("estimate", "extra")} for task in table.get("tasks", [])]
    return [table.get("other"), *(each for each in found if each)]
