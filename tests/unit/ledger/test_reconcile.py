"""Reconciling: from a task as it is to a task as wished, legally, in the fewest events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import pytest

from ledger import (
    LINKS_MAX,
    DesiredTask,
    Event,
    InvalidValueError,
    LinkKind,
    Schedule,
    State,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    reconcile,
)
from ledger.reconcile import Question
from tests.support.builders import a_task, a_task_in, task_id
from tests.support.legality import LEGAL_IN, Life, live, step

TEXT = "Implement user authentication"
PARENT, OTHER = task_id(7), task_id(8)
DUE_MS, DUE = 1_795_500_000_000, "2026-11-24T06:00:00.000Z"

TO_1, TO_2 = TaskAssigned("worker-1"), TaskAssigned("worker-2")
SOMEBODYS = [State.ASSIGNED, State.RUNNING, State.COMPLETED, State.FAILED]
STARTED, REQUEUED, REOPENED = TaskStarted(), TaskRequeued(), TaskReopened()


def wish(state: State = State.PENDING, agent: str | None = None, result: str | None = None) -> DesiredTask:
    return DesiredTask(description=TEXT, state=state, agent=agent, result=result)


# (state as it is, where from assigned on worker-1 has the task and a finished one's result is its state; wish; events)
TABLE: list[tuple[State | None, DesiredTask | None, list[Event]]] = [
    (None, None, []),
    (None, wish(), [TaskCreated(TEXT)]),
    (None, wish(State.ASSIGNED, "worker-1"), [TaskCreated(TEXT), TO_1]),
    (None, wish(State.RUNNING, "worker-1"), [TaskCreated(TEXT), TO_1, STARTED]),
    (None, wish(State.COMPLETED, "worker-1", "ok"), [TaskCreated(TEXT), TO_1, STARTED, TaskCompleted("ok")]),
    (None, wish(State.CANCELLED), [TaskCreated(TEXT), TaskCancelled()]),
    (State.PENDING, None, [TaskRemoved()]),
    (State.COMPLETED, None, [TaskRemoved()]),
    (State.PENDING, wish(), []),
    (State.PENDING, wish(State.FAILED, "worker-1", "no"), [TO_1, STARTED, TaskFailed("no")]),
    (State.ASSIGNED, wish(), [REQUEUED]),
    (State.ASSIGNED, wish(State.ASSIGNED, "worker-1"), []),
    (State.ASSIGNED, wish(State.ASSIGNED, "worker-2"), [TO_2]),
    (State.ASSIGNED, wish(State.RUNNING, "worker-1"), [STARTED]),
    (State.ASSIGNED, wish(State.RUNNING, "worker-2"), [TO_2, STARTED]),
    (State.ASSIGNED, wish(State.COMPLETED, "worker-1", "ok"), [STARTED, TaskCompleted("ok")]),
    (State.ASSIGNED, wish(State.CANCELLED, None, "no"), [REQUEUED, TaskCancelled("no")]),
    (State.ASSIGNED, wish(State.CANCELLED, "worker-1"), [TaskCancelled()]),
    (State.ASSIGNED, wish(State.CANCELLED, "worker-2"), [TO_2, TaskCancelled()]),
    (State.RUNNING, wish(), [REQUEUED]),
    (State.RUNNING, wish(State.ASSIGNED, "worker-1"), [TO_1]),
    (State.RUNNING, wish(State.RUNNING, "worker-1"), []),
    (State.RUNNING, wish(State.RUNNING, "worker-2"), [TO_2, STARTED]),
    (State.RUNNING, wish(State.FAILED, "worker-1"), [TaskFailed()]),
    (State.COMPLETED, wish(), [REOPENED]),
    (State.COMPLETED, wish(State.COMPLETED, "worker-1", "completed"), []),
    (State.COMPLETED, wish(State.COMPLETED, "worker-1", "x"), [REOPENED, TO_1, STARTED, TaskCompleted("x")]),
    (
        State.COMPLETED,
        wish(State.COMPLETED, "worker-2", "completed"),
        [REOPENED, TO_2, STARTED, TaskCompleted("completed")],
    ),
    (State.FAILED, wish(State.RUNNING, "worker-1"), [REOPENED, TO_1, STARTED]),
    (State.CANCELLED, wish(State.CANCELLED, "worker-1", "cancelled"), []),
    (State.CANCELLED, wish(State.CANCELLED, None, "cancelled"), [REOPENED, TaskCancelled("cancelled")]),
]


@pytest.mark.parametrize(("state", "wished", "events"), TABLE, ids=range(len(TABLE)))
def test_reconcile_leads_from_the_state_to_the_wish(
    state: State | None, wished: DesiredTask | None, events: list[Event]
) -> None:
    """From this state, this wish leads to these events."""
    assert reconcile(None if state is None else a_task_in(state), wished) == events


def test_reconcile_of_an_absent_task_creates_the_full_content() -> None:
    """A task that is made by reconcile has all its content in its first event."""
    wished = DesiredTask(description="x", tags=("b", "a"), parent_id=PARENT, alias="bd-1")
    assert reconcile(None, wished) == [TaskCreated("x", ("a", "b"), PARENT, "bd-1")]


def test_reconcile_changes_description_parent_and_tags() -> None:
    """Content of an open task changes in place."""
    wished = DesiredTask(description="Better", tags=("b", "c"), parent_id=PARENT)
    assert reconcile(a_task(tags=("a", "b")), wished) == [
        TaskTagged(("c",), ("a",)),
        TaskDescribed("Better"),
        TaskMoved(PARENT),
    ]


def test_reconcile_tags_a_finished_task_without_opening_it() -> None:
    """A terminal task accepts tags, so it is not opened for them."""
    wished = DesiredTask(description=TEXT, state=State.FAILED, agent="worker-1", result="failed", tags=("a",))
    assert reconcile(a_task_in(State.FAILED), wished) == [TaskTagged(("a",), ())]


def test_reconcile_of_an_absent_task_says_every_fact_before_its_state() -> None:
    """Created, prioritised, scheduled, linked, asked and answered come first; they are said while the task is open."""
    wished = DesiredTask(
        description="x",
        state=State.CANCELLED,
        priority=0,
        schedule=Schedule(DUE_MS, None),
        links={LinkKind.NEEDS: (PARENT, OTHER, PARENT), LinkKind.RELATES: (OTHER,)},
        asked=Question("Which?", ("a",), "a"),
    )
    assert reconcile(None, wished) == [
        TaskCreated("x"),
        TaskPrioritised(0),
        TaskScheduled(DUE, None),
        TaskLinked(LinkKind.NEEDS, PARENT),
        TaskLinked(LinkKind.NEEDS, OTHER),
        TaskLinked(LinkKind.RELATES, OTHER),
        TaskAsked("Which?", ("a",)),
        TaskAnswered("a"),
        TaskCancelled(),
    ]


def test_reconcile_of_an_absent_task_does_not_say_what_it_is_anyway() -> None:
    """The default priority, no times and no links are what a new task has."""
    wished = DesiredTask(description="x", priority=2, schedule=Schedule(), links={LinkKind.NEEDS: ()})
    assert reconcile(None, wished) == [TaskCreated("x")]


@pytest.mark.parametrize("state", State)
def test_reconcile_keeps_what_the_wish_does_not_speak_of(state: State) -> None:
    """No priority, no schedule and kinds of links that are not named are no wish; nor is a question of a task that is there."""
    task = a_task_in(state, priority=0, due_ms=1, needs=(PARENT,), relates=(PARENT, OTHER), question="Which?")
    wished = DesiredTask(
        description=TEXT,
        state=state,
        agent=task.assigned_to,
        result=task.result,
        links={LinkKind.RELATES: (OTHER, PARENT)},
        asked=Question("Why?"),
    )
    assert reconcile(task, wished) == []


@pytest.mark.parametrize("state", State)
def test_reconcile_prioritises_schedules_and_links_in_every_state(state: State) -> None:
    """A finished task takes them without being opened."""
    task = a_task_in(state, priority=0, due_ms=DUE_MS, not_before_ms=1, needs=(PARENT,), duplicates=(OTHER,))
    wished = DesiredTask(
        description=TEXT,
        state=state,
        agent=task.assigned_to,
        result=task.result,
        tags=("a",),
        priority=2,
        schedule=Schedule(DUE_MS, None),
        links={LinkKind.NEEDS: (OTHER,), LinkKind.DUPLICATES: ()},
    )
    assert reconcile(task, wished) == [
        TaskTagged(("a",), ()),
        TaskPrioritised(2),
        TaskScheduled(DUE, None),
        TaskUnlinked(LinkKind.NEEDS, PARENT),
        TaskLinked(LinkKind.NEEDS, OTHER),
        TaskUnlinked(LinkKind.DUPLICATES, OTHER),
    ]


def test_reconcile_refuses_more_links_than_a_task_has() -> None:
    """Those that it keeps are counted, and those that go are not."""
    many = tuple(task_id(number) for number in range(100, 100 + LINKS_MAX))
    task = a_task(relates=(OTHER,))
    with pytest.raises(InvalidValueError, match="more than 1,000"):
        reconcile(task, DesiredTask(description=TEXT, links={LinkKind.NEEDS: many}))
    wished = DesiredTask(description=TEXT, links={LinkKind.NEEDS: many, LinkKind.RELATES: ()})
    assert len(reconcile(task, wished)) == LINKS_MAX + 1


def test_wish_of_a_priority_that_is_none_is_refused() -> None:
    """As every value that no command takes."""
    with pytest.raises(InvalidValueError, match="priority"):
        DesiredTask(description="x", priority=5)


def test_reconcile_opens_a_finished_task_to_describe_it() -> None:
    """A terminal task takes no description, so it is opened and led to its end again."""
    wished = DesiredTask(description="Better", state=State.COMPLETED, agent="bob", result="ok")
    assert reconcile(a_task_in(State.COMPLETED, assigned_to="bob", result="ok"), wished) == [
        REOPENED,
        TaskDescribed("Better"),
        TaskAssigned("bob"),
        STARTED,
        TaskCompleted("ok"),
    ]


@pytest.mark.parametrize("state", [State.PENDING, State.ASSIGNED, State.RUNNING])
def test_reconcile_ignores_the_result_of_an_open_wish(state: State) -> None:
    """A result counts in terminal states only."""
    agent = None if state is State.PENDING else "worker-1"
    assert reconcile(a_task_in(state), wish(state, agent, "early")) == []


def test_wish_for_a_pending_task_with_an_agent_is_refused() -> None:
    """A pending task has no agent."""
    with pytest.raises(InvalidValueError, match="agent"):
        wish(State.PENDING, "bob")


@pytest.mark.parametrize("state", SOMEBODYS)
@pytest.mark.parametrize("before", [None, *State])
def test_wish_that_names_nobody_is_refused_where_somebody_is_needed(state: State, before: State | None) -> None:
    """What is to become assigned, running, completed or failed becomes so by somebody."""
    task = None if before is None else a_task_in(before)
    with pytest.raises(InvalidValueError, match="agent"):
        reconcile(task, wish(state))


@pytest.mark.parametrize("state", SOMEBODYS)
def test_task_that_was_adopted_without_an_agent_stays_so(state: State) -> None:
    """Wished as it is, it needs nothing; this was an assertion, which every push of such a town ran into."""
    task = a_task_in(state, assigned_to=None, result=None)
    assert reconcile(task, wish(state)) == []


def test_task_that_was_adopted_pending_with_an_agent_is_nobodys() -> None:
    """The name is of no consequence: it is in the backlog, and whoever gets it is assigned."""
    task = a_task_in(State.PENDING, assigned_to="worker-1")
    assert reconcile(task, wish()) == []
    assert reconcile(task, wish(State.ASSIGNED, "worker-1")) == [TO_1]


# --- the fewest: every pair of a small world, against a search --------------------------------------------------

AGENTS: Final = ("a", "b")
RESULTS: Final = (None, "r")
CONTENTS: Final = list(product(("x", "y"), (None, PARENT), (frozenset[str](), frozenset({"t"}))))
STANDINGS: Final = [
    ("pending", None, None),
    *((state, agent, None) for state in ("assigned", "running") for agent in AGENTS),
    *((state, agent, result) for state in ("completed", "failed") for agent in AGENTS for result in RESULTS),
    *(("cancelled", agent, result) for agent in (None, *AGENTS) for result in RESULTS),
]
LIVES: Final = [Life(*standing, *content) for standing in STANDINGS for content in CONTENTS]

# A task is not removed to be changed: that would lose its age, and is no wish of the caller's. So removal is no step here.
FACTS: Final[list[Event]] = [
    *(TaskAssigned(agent) for agent in AGENTS),
    STARTED,
    REQUEUED,
    REOPENED,
    *(end(result) for end in (TaskCompleted, TaskFailed, TaskCancelled) for result in RESULTS),
    *(TaskDescribed(text) for text in ("x", "y")),
    *(TaskMoved(parent) for parent in (None, PARENT)),
    TaskTagged(("t",)),
    TaskTagged((), ("t",)),
]


def next_lives(life: Life) -> Iterator[Life]:
    return (step(life, fact) for fact in FACTS if life.state in LEGAL_IN[type(fact)])


NEIGHBOURS: Final = {life: set(next_lives(life)) for life in LIVES}


def distances(starts: list[Life]) -> dict[Life, int]:
    """How many facts each life is away from the nearest start: a breadth-first search."""
    found = dict.fromkeys(starts, 0)
    edge, distance = starts, 0
    while edge:
        distance += 1
        edge = [life for life in {each for near in edge for each in NEIGHBOURS[near]} if life not in found]
        found |= dict.fromkeys(edge, distance)
    return found


def wish_for(life: Life) -> DesiredTask:
    return DesiredTask(
        description=life.description,
        state=State(life.state),
        agent=life.agent,
        tags=tuple(life.tags),
        parent_id=life.parent,
        result=life.result,
    )


@pytest.mark.parametrize("standing", STANDINGS, ids=lambda standing: "-".join(str(part) for part in standing))
def test_reconcile_takes_the_fewest_legal_events(standing: tuple[str, str | None, str | None]) -> None:
    """From every life of a small world to every other: legal throughout, arrives, and no search finds a shorter way."""
    for content in CONTENTS:
        life = Life(*standing, *content)
        task = a_task(
            state=State(life.state),
            assigned_to=life.agent,
            result=life.result,
            description=life.description,
            parent_id=life.parent,
            tags=tuple(life.tags),
        )
        fewest = distances([life])
        for goal in LIVES:
            events = reconcile(task, wish_for(goal))
            assert live(events, life) == goal
            assert len(events) == fewest[goal], f"{life} to {goal}: {events}"


def test_reconcile_creates_in_the_fewest_legal_events() -> None:
    """From nothing: one event for any content, then the fewest that lead on."""
    created = [Life("pending", None, None, *content) for content in CONTENTS]
    fewest = distances(created)
    for goal in LIVES:
        events = reconcile(None, wish_for(goal))
        assert live(events) == goal
        assert len(events) == 1 + fewest[goal], f"{goal}: {events}"
