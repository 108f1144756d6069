"""Evolving and folding: what each event does to a task."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from ledger import (
    EVENT_CLASSES,
    Event,
    LinkKind,
    MisplacedEventError,
    OldRecord,
    Position,
    RecordedEvent,
    SequenceGapError,
    State,
    Task,
    TaskAdopted,
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
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    evolve,
    flaw_of,
    parse_rfc3339,
    record,
)
from ledger.task import fold
from tests.support.builders import START_MS, TASK, a_task, a_task_in, an_event, recorded, task_id

PARENT = task_id(7)
NOW = Position.of(ms=START_MS + 60_000, seq=42)
DUE_MS, DUE = 1_795_500_000_000, "2026-11-24T06:00:00.000Z"

CLEARED: dict[str, object] = {
    "state": State.PENDING,
    "assigned_to": None,
    "started_at_ms": None,
    "completed_at_ms": None,
    "result": None,
}


def in_every_state(data: Event, changed: dict[str, object]) -> list[tuple[State, Event, dict[str, object]]]:
    return [(state, data, changed) for state in State]


# (state before, event, fields that change besides version, position and updated_at)
EFFECTS: list[tuple[State, Event, dict[str, object]]] = [
    (State.PENDING, TaskAssigned("bob"), {"state": State.ASSIGNED, "assigned_to": "bob"}),
    (State.ASSIGNED, TaskAssigned("bob"), {"assigned_to": "bob"}),
    (State.RUNNING, TaskAssigned("bob"), {"state": State.ASSIGNED, "assigned_to": "bob", "started_at_ms": None}),
    (State.ASSIGNED, TaskStarted(), {"state": State.RUNNING, "started_at_ms": NOW.ms}),
    (
        State.RUNNING,
        TaskCompleted("Fixed"),
        {"state": State.COMPLETED, "result": "Fixed", "completed_at_ms": NOW.ms},
    ),
    (State.RUNNING, TaskCompleted(), {"state": State.COMPLETED, "completed_at_ms": NOW.ms}),
    (State.RUNNING, TaskFailed("Broken"), {"state": State.FAILED, "result": "Broken", "completed_at_ms": NOW.ms}),
    (State.RUNNING, TaskCancelled("No"), {"state": State.CANCELLED, "result": "No", "completed_at_ms": NOW.ms}),
    (State.ASSIGNED, TaskCancelled("No"), {"state": State.CANCELLED, "result": "No", "completed_at_ms": NOW.ms}),
    (State.PENDING, TaskCancelled(), {"state": State.CANCELLED, "completed_at_ms": NOW.ms}),
    (State.ASSIGNED, TaskRequeued(), {"state": State.PENDING, "assigned_to": None}),
    (State.RUNNING, TaskRequeued(), {"state": State.PENDING, "assigned_to": None, "started_at_ms": None}),
    (State.COMPLETED, TaskReopened(), CLEARED),
    (State.FAILED, TaskReopened(), CLEARED),
    (State.CANCELLED, TaskReopened(), CLEARED),
    (State.PENDING, TaskDescribed("Better"), {"description": "Better"}),
    (State.PENDING, TaskTagged(("a",), ()), {"tags": ("a", "b", "c")}),
    (State.RUNNING, TaskTagged((), ("b",)), {"tags": ("c",)}),
    (State.COMPLETED, TaskTagged(("a", "z"), ("c",)), {"tags": ("a", "b", "z")}),
    (State.PENDING, TaskTagged(("b",), ("absent",)), {}),
    (State.PENDING, TaskMoved(task_id(8)), {"parent_id": task_id(8)}),
    (State.PENDING, TaskMoved(None), {"parent_id": None}),
    *((state, TaskNoted("Half done"), {}) for state in State),
    *in_every_state(TaskPrioritised(0), {"priority": 0}),
    *in_every_state(TaskScheduled(DUE, None), {"due_ms": DUE_MS, "not_before_ms": None}),
    (State.PENDING, TaskScheduled(None, DUE), {"not_before_ms": DUE_MS}),
    (State.PENDING, TaskScheduled(), {"not_before_ms": None}),
    *in_every_state(TaskLinked(LinkKind.NEEDS, PARENT), {"needs": (PARENT, task_id(9))}),
    (State.PENDING, TaskLinked(LinkKind.NEEDS, task_id(9)), {}),
    (State.PENDING, TaskLinked(LinkKind.RELATES, PARENT), {"relates": (PARENT,)}),
    (State.PENDING, TaskLinked(LinkKind.DUPLICATES, PARENT), {"duplicates": (PARENT,)}),
    (State.PENDING, TaskLinked(LinkKind.DISCOVERED_FROM, PARENT), {"discovered_from": (PARENT,)}),
    *in_every_state(TaskUnlinked(LinkKind.NEEDS, task_id(9)), {"needs": ()}),
    (State.PENDING, TaskUnlinked(LinkKind.RELATES, task_id(9)), {}),
    (State.PENDING, TaskAsked("Why?"), {"question": "Why?", "choices": (), "asked_at_ms": NOW.ms}),
    (State.RUNNING, TaskAsked("Why?", ("y", "x")), {"question": "Why?", "choices": ("y", "x"), "asked_at_ms": NOW.ms}),
    (State.ASSIGNED, TaskAnswered("a"), {"answer": "a"}),
]


def next_event(task: Task, data: Event, **fields: object) -> RecordedEvent:
    event = an_event(data, task=task.id, **({"version": task.version + 1} | fields))
    return record(event, NOW)


@pytest.mark.parametrize(
    ("state", "data", "changed"),
    EFFECTS,
    ids=[f"{data.type}-{state}-{number}" for number, (state, data, _) in enumerate(EFFECTS)],
)
def test_evolve_changes_what_the_event_says_and_nothing_else(
    state: State, data: Event, changed: dict[str, object]
) -> None:
    """Each event sets these fields, version, position and updated_at; every other field stays."""
    task = a_task_in(
        state,
        tags=("b", "c"),
        parent_id=PARENT,
        alias="bd-1",
        created_number=3,
        not_before_ms=1,
        needs=(task_id(9),),
        question="Which?",
        choices=("a", "b"),
    )
    expected = replace(task, **(changed | {"version": 2, "at": NOW, "updated_at_ms": NOW.ms}))
    assert evolve(task, next_event(task, data)) == expected


def test_effects_have_every_event_of_an_existing_task() -> None:
    """No event is left out of the table above; created and removed have tests of their own."""
    assert {type(data) for _, data, _ in EFFECTS} == set(EVENT_CLASSES) - {TaskCreated, TaskAdopted, TaskRemoved}


ADOPTED = TaskAdopted(
    records=(OldRecord("tt:task:x", "string", "{}"),),
    description="Fix",
    state=State.RUNNING,
    created_at="2025-06-01T10:00:00.123Z",
    updated_at="2025-06-02T10:00:00.000Z",
    tags=("bug",),
    started_at="2025-06-02T10:00:00.000Z",
    alias="fix",
)


def test_adopted_makes_the_task_that_the_record_was() -> None:
    """Its times are the record's, and a state that no command leads to is kept: it runs, and is nobody's."""
    assert evolve(None, record(an_event(ADOPTED), NOW)) == Task(
        id=TASK,
        description="Fix",
        state=State.RUNNING,
        created_at_ms=parse_rfc3339("2025-06-01T10:00:00.123Z"),
        updated_at_ms=parse_rfc3339("2025-06-02T10:00:00.000Z"),
        started_at_ms=parse_rfc3339("2025-06-02T10:00:00.000Z"),
        version=1,
        at=NOW,
        tags=("bug",),
        alias="fix",
        created_number=42,
    )


def test_adopted_with_a_time_that_is_none_is_damage() -> None:
    """It makes no task; nothing is guessed."""
    event = record(an_event(replace(ADOPTED, completed_at="yesterday")), NOW)
    assert evolve(None, event) is None
    assert flaw_of(None, event) == "it is not a task.adopted: completed_at is no time"


def test_adopted_twice_is_damage() -> None:
    """A record is adopted once; the task stays as it was, and says since when it is damaged."""
    assert_damages(a_task(), ADOPTED, "exists there already")


def assert_damages(task: Task, data: Event, flaw: str) -> None:
    """The event changes nothing but version and position, and the task names it."""
    event = next_event(task, data)
    assert flaw in (flaw_of(task, event) or "")
    assert evolve(copy(task), event) == replace(task, version=task.version + 1, at=NOW, damaged_at=NOW)


def test_created_makes_a_pending_task() -> None:
    """A new task is pending, nobody's, and as old as the position of its event."""
    event = record(an_event(TaskCreated("Write", ("a", "b"), PARENT, "bd-1")), NOW)
    assert evolve(None, event) == Task(
        id=TASK,
        description="Write",
        state=State.PENDING,
        created_at_ms=NOW.ms,
        updated_at_ms=NOW.ms,
        version=1,
        at=NOW,
        parent_id=PARENT,
        tags=("a", "b"),
        alias="bd-1",
        created_number=42,
    )


@pytest.mark.parametrize("state", State)
def test_removed_takes_the_task_away(state: State) -> None:
    """After `task.removed` there is no task, whatever state it was in."""
    task = a_task_in(state)
    assert evolve(task, next_event(task, TaskRemoved())) is None


def test_created_after_removed_continues_the_versions() -> None:
    """A task that comes back has the new content only; its versions go on."""
    events = recorded([TaskCreated("a", ("x",), PARENT), TaskAssigned("bob"), TaskRemoved(), TaskCreated("b")])
    task = fold(events)
    assert task is not None
    assert (task.description, task.tags, task.parent_id, task.assigned_to) == ("b", (), None, None)
    assert (task.version, task.created_at_ms) == (4, events[3].position.ms)


@pytest.mark.parametrize("version", [0, 1, 3, 9])
@pytest.mark.parametrize("data", [TaskNoted("x"), TaskRemoved(), TaskCreated("x")], ids=lambda data: data.type)
def test_evolve_with_version_gap_is_damage(data: Event, version: int) -> None:
    """An event whose version is not the next one stops the fold and names the position and both versions."""
    task = a_task()
    with pytest.raises(SequenceGapError) as caught:
        evolve(task, next_event(task, data, version=version))
    assert (caught.value.position, caught.value.expected, caught.value.found) == (NOW, 2, version)


@pytest.mark.parametrize(
    "events",
    [
        recorded([TaskCreated("a")], first_version=2),
        recorded([TaskCreated("a"), TaskRemoved()]) + recorded([TaskCreated("b")], first_version=5),
        recorded([TaskCreated("a"), TaskRemoved()]) + recorded([TaskCreated("b")], first_version=1),
    ],
    ids=["at the beginning", "after a removal", "again from 1 after a removal"],
)
def test_fold_with_version_gap_before_created_is_damage(events: list[RecordedEvent]) -> None:
    """A task's versions have no gaps (P3), also where its first events or those around a removal are missing."""
    with pytest.raises(SequenceGapError):
        fold(events)


@pytest.mark.parametrize(
    "data_class", [data for data in EVENT_CLASSES if data not in (TaskCreated, TaskAdopted)], ids=lambda data: data.type
)
def test_evolve_without_a_task_is_damage(data_class: type[Event]) -> None:
    """Only `task.created` and `task.adopted` may come first; any other event tells of a task that is not there."""
    data: Event = {
        TaskAssigned: TaskAssigned("bob"),
        TaskDescribed: TaskDescribed("x"),
        TaskNoted: TaskNoted("x"),
        TaskPrioritised: TaskPrioritised(1),
        TaskLinked: TaskLinked(LinkKind.NEEDS, PARENT),
        TaskUnlinked: TaskUnlinked(LinkKind.NEEDS, PARENT),
        TaskAsked: TaskAsked("x"),
        TaskAnswered: TaskAnswered("x"),
    }.get(data_class) or data_class()
    with pytest.raises(MisplacedEventError, match="does not exist there") as caught:
        evolve(None, record(an_event(data), NOW))
    assert (caught.value.position, caught.value.task_id) == (NOW, TASK)


def test_asked_again_has_no_answer() -> None:
    """A new question takes the old one's place, and its answer with it."""
    task = a_task(question="Which?", choices=("a",), answer="a")
    assert not task.has_open_question
    asked = evolve(task, next_event(task, TaskAsked("Why?")))
    assert asked is not None
    assert (asked.question, asked.choices, asked.answer, asked.has_open_question) == ("Why?", (), None, True)


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (TaskPrioritised(5), "the priority is 5"),
        (TaskPrioritised(-1), "the priority is -1"),
        (TaskLinked(LinkKind.NEEDS, TASK), "it links the task to itself"),
        (TaskUnlinked(LinkKind.NEEDS, TASK), "it links the task to itself"),
        (TaskLinked(LinkKind.NEEDS, "tt-1"), "the id of the linked task is no UUID"),
        (TaskScheduled("tomorrow", None), "due is no time"),
        (TaskScheduled(None, "99999-01-01T00:00:00.000Z"), "not_before is no time"),
        (TaskScheduled(None, "2026-11-24T06:00:00Z"), "not_before is not written in UTC with milliseconds"),
        (TaskScheduled("2026-11-24T07:00:00.000+01:00", None), "due is not written in UTC with milliseconds"),
        (TaskAsked(""), "the question is empty"),
        (TaskAsked("?", tuple("abcdefghijklmnopqrstu")), "the choices are 21"),
        (TaskAsked("?", ("a", "a")), "the choices are not trimmed, and each once"),
        (TaskAsked("?", (" a",)), "the choices are not trimmed, and each once"),
        (TaskAnswered("a"), "which waits for no answer there"),
    ],
    ids=str,
)
def test_fact_that_no_command_can_make_is_damage(data: Event, flaw: str) -> None:
    """What the rules for commands refuse damages the task that is read: it stays as it was."""
    assert_damages(a_task(), data, flaw)


def test_choices_are_offered_in_any_order() -> None:
    """They are not sorted as tags are, and 20 are not too many."""
    assert flaw_of(a_task(), next_event(a_task(), TaskAsked("?", tuple("tsrqponmlkjihgfedcba")))) is None


def test_created_twice_is_damage() -> None:
    """A task that exists cannot be created; it stays as it was, and names the position."""
    assert_damages(a_task(), TaskCreated("Again"), "exists there already")


@pytest.mark.parametrize("later", [TaskNoted("x"), TaskAssigned("bob"), TaskRemoved(), TaskStarted()], ids=str)
def test_damaged_task_stays_as_it_was(later: Event) -> None:
    """Later events count its versions on and change nothing else: what they were meant for is not there."""
    task = a_task(damaged_at="1-1")
    assert evolve(copy(task), next_event(task, later)) == replace(task, version=2, at=NOW)


def test_event_after_removed_is_damage() -> None:
    """A removed task takes no event but its creation."""
    with pytest.raises(MisplacedEventError):
        fold(recorded([TaskCreated("a"), TaskRemoved(), TaskNoted("x")]))


def test_fold_of_nothing_is_the_task_as_it_was() -> None:
    """No events, no change."""
    task = a_task()
    assert fold([]) is None
    assert fold([], task) is task


def test_times_are_aware_utc() -> None:
    """A task's times are read as UTC, to the millisecond; absent times are None."""
    task = a_task(created_at_ms=0, updated_at_ms=1_500)
    assert task.created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert task.updated_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert (task.started_at, task.completed_at) == (None, None)
    assert a_task_in(State.FAILED, completed_at_ms=0).completed_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "is_terminal"), [(state, state in {"completed", "failed", "cancelled"}) for state in State]
)
def test_state_is_terminal_for_ends_only(state: State, *, is_terminal: bool) -> None:
    """Completed, failed and cancelled are ends; the others are not."""
    assert state.is_terminal is is_terminal
