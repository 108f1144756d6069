"""How each command is taken back, and what stands in the way. Given a history, when its command is undone, then these facts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger import (
    Event,
    LinkKind,
    NotUndoableError,
    OldRecord,
    RecordedEvent,
    Source,
    State,
    TaskAdopted,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDamagedError,
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
    UndoOvertakenError,
    undo,
)
from tests.support.builders import recorded, task_id

MADE = TaskCreated("x", ("a", "b"), alias="tt-1", source=Source.PLAN)
ADA, BOB = TaskAssigned("ada"), TaskAssigned("bob")
START = TaskStarted()
DONE = TaskCompleted("ok")
EARLY, LATE = "2026-11-24T06:00:00.000Z", "2026-12-24T06:00:00.000Z"
ON_7, ON_8 = (TaskLinked(LinkKind.NEEDS, task_id(number)) for number in (7, 8))
OFF_7, OFF_8 = (TaskUnlinked(LinkKind.NEEDS, task_id(number)) for number in (7, 8))
ASKED, ANSWERED = TaskAsked("Which?", ("a", "b")), TaskAnswered("a")
COMMAND = "to be undone"


def history(before: list[Event], own: list[Event], later: list[Event]) -> list[RecordedEvent]:
    """A history of three parts, the one in the middle of one command."""
    found = recorded([*before, *own, *later])
    first = len(before)
    return [
        replace(each, command=COMMAND) if first <= number < first + len(own) else each
        for number, each in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("before", "own", "later", "facts"),
    [
        ([], [MADE], [], [TaskRemoved()]),
        ([], [MADE, ADA], [], [TaskRemoved()]),
        ([], [MADE], [TaskNoted("n")], [TaskRemoved()]),
        ([MADE], [TaskRemoved()], [], [MADE]),
        ([MADE, ADA, START], [TaskRemoved()], [], [MADE, ADA, START]),
        ([MADE, ADA, START, DONE], [TaskRemoved()], [], [MADE, ADA, START, DONE]),
        ([MADE, TaskDescribed("y"), TaskRemoved()], [TaskCreated("z")], [], [TaskRemoved()]),
        ([MADE], [ADA], [], [TaskRequeued()]),
        ([MADE, ADA], [BOB], [], [ADA]),
        ([MADE, ADA, START], [BOB], [], [ADA, START]),
        ([MADE, ADA], [START], [], [ADA]),
        ([MADE], [ADA, START], [], [TaskRequeued()]),
        ([MADE, ADA, START], [DONE], [], [TaskReopened(), ADA, START]),
        ([MADE, ADA], [START, DONE], [], [TaskReopened(), ADA]),
        ([MADE], [ADA, START, DONE], [], [TaskReopened()]),
        ([MADE, ADA, START], [TaskFailed("no")], [], [TaskReopened(), ADA, START]),
        ([MADE], [TaskCancelled(None)], [], [TaskReopened()]),
        ([MADE, ADA], [TaskCancelled("why")], [], [TaskReopened(), ADA]),
        ([MADE, ADA, START], [TaskRequeued()], [], [ADA, START]),
        ([MADE, ADA, START, DONE], [TaskReopened()], [], [ADA, START, DONE]),
        ([MADE, ADA, TaskCancelled("why")], [TaskReopened()], [], [ADA, TaskCancelled("why")]),
        ([MADE], [TaskDescribed("y")], [], [TaskDescribed("x")]),
        ([MADE], [TaskDescribed("y")], [ADA, START], [TaskDescribed("x")]),
        (
            [MADE, ADA, START, DONE],
            [TaskReopened(), TaskDescribed("y"), ADA, START, DONE],
            [TaskNoted("n"), TaskPrioritised(0)],
            [TaskReopened(), TaskDescribed("x"), ADA, START, DONE],
        ),
        (
            [MADE, ADA, START, DONE],
            [TaskReopened(), TaskMoved(task_id(7)), ADA, START, DONE],
            [],
            [TaskReopened(), TaskMoved(None), ADA, START, DONE],
        ),
        ([MADE], [TaskMoved(task_id(7))], [], [TaskMoved(None)]),
        ([MADE], [TaskTagged(("c",), ("a",))], [], [TaskTagged(("a",), ("c",))]),
        ([MADE], [TaskTagged(("c",), ())], [TaskTagged(("d",), ("a",))], [TaskTagged((), ("c",))]),
        ([MADE, ADA, START], [TaskTagged(("c",), ())], [DONE], [TaskTagged((), ("c",))]),
        ([MADE], [TaskPrioritised(0)], [], [TaskPrioritised(2)]),
        ([MADE, TaskPrioritised(3), ADA, START], [TaskPrioritised(0)], [DONE], [TaskPrioritised(3)]),
        ([MADE], [TaskScheduled(EARLY, LATE)], [TaskPrioritised(0)], [TaskScheduled()]),
        ([MADE, TaskScheduled(EARLY)], [TaskScheduled(LATE)], [TaskCancelled(None)], [TaskScheduled(EARLY)]),
        ([MADE], [ON_7], [ON_8, TaskCancelled(None)], [OFF_7]),
        ([MADE, ON_7, ON_8], [OFF_8], [OFF_7], [ON_8]),
        (
            [MADE, ON_7],
            [TaskLinked(LinkKind.RELATES, task_id(7))],
            [OFF_7],
            [TaskUnlinked(LinkKind.RELATES, task_id(7))],
        ),
        (
            [MADE, TaskPrioritised(0), TaskScheduled(EARLY), ON_7, ON_8, ASKED, ANSWERED, ADA, START, DONE],
            [TaskRemoved()],
            [],
            [MADE, TaskPrioritised(0), TaskScheduled(EARLY), ON_7, ON_8, ASKED, ANSWERED, ADA, START, DONE],
        ),
        ([MADE, ASKED], [TaskRemoved()], [], [MADE, ASKED]),
        ([MADE, ASKED], [ADA], [ANSWERED], [TaskRequeued()]),
        ([], [MADE, TaskPrioritised(0), ON_7], [], [TaskRemoved()]),
        (
            [MADE],
            [TaskTagged(("c",), ()), TaskDescribed("y"), ADA],
            [],
            [TaskTagged((), ("c",)), TaskDescribed("x"), TaskRequeued()],
        ),
    ],
)
def test_command_is_taken_back_by(
    before: list[Event], own: list[Event], later: list[Event], facts: list[Event]
) -> None:
    """Each event type has what takes it back; the cause is the last event of the command."""
    undone = undo(history(before, own, later), COMMAND)
    assert undone is not None
    assert list(undone.events) == facts
    assert undone.cause.seq == len(before) + len(own)
    assert undone.version == len(before) + len(own) + len(later)


def test_note_has_nothing_to_be_taken_back() -> None:
    """It changed nothing on the board; what was said was said."""
    assert undo(history([MADE], [TaskNoted("n")], []), COMMAND) is None


@pytest.mark.parametrize(
    ("before", "own", "later", "stands"),
    [
        ([], [MADE], [ADA], 2),
        ([], [MADE], [TaskTagged(("c",), ())], 2),
        ([MADE], [TaskRemoved()], [TaskCreated("z")], 3),
        ([MADE], [ADA], [START], 3),
        ([MADE], [ADA], [TaskNoted("n"), START, DONE], 5),
        ([MADE, ADA], [START], [TaskRequeued(), BOB], 5),
        ([MADE], [TaskDescribed("y")], [TaskDescribed("z")], 3),
        ([MADE], [TaskDescribed("y")], [ADA, TaskRemoved()], 4),
        ([MADE], [TaskTagged(("c",), ())], [TaskTagged((), ("c",))], 3),
        ([MADE], [TaskPrioritised(0)], [TaskPrioritised(1)], 3),
        # The two times count as one.
        ([MADE], [TaskScheduled(EARLY)], [TaskScheduled(EARLY, LATE)], 3),
        ([MADE], [ON_7], [ON_8, OFF_7], 4),
        ([], [MADE], [ASKED], 2),
        # Only an open task takes another description or parent.
        ([MADE], [TaskDescribed("y")], [ADA, START, DONE, TaskTagged(("c",), ())], 5),
        ([MADE], [TaskMoved(task_id(7))], [TaskCancelled(None)], 3),
    ],
)
def test_command_on_which_later_events_stand_is_not_taken_back(
    before: list[Event], own: list[Event], later: list[Event], stands: int
) -> None:
    """The last such event is named: it is what has to be taken back first."""
    with pytest.raises(UndoOvertakenError, match=f"event {stands} stands on it") as caught:
        undo(history(before, own, later), COMMAND)
    assert not caught.value.is_undo


def test_command_that_was_taken_back_already_says_by_what() -> None:
    """Until it is brought back: then it is taken back once more."""
    events = history([MADE], [ADA], [TaskRequeued(), ADA])
    taken = [*events[:2], replace(events[2], command="undo", cause=events[1].at)]
    with pytest.raises(UndoOvertakenError, match="taken back already, by event 3") as caught:
        undo(taken, COMMAND)
    assert caught.value.is_undo
    brought_back = [*taken, replace(events[3], command="redo", cause=events[2].at)]
    undone = undo(brought_back, COMMAND)
    assert undone is not None
    assert (list(undone.events), undone.cause) == ([TaskRequeued()], events[1].position)


def test_later_command_that_was_taken_back_stands_on_nothing() -> None:
    """So commands are taken back one after another. Only what `cause` names and the values agree with was taken back."""
    events = history([MADE], [ADA], [START, ADA])
    started = [*events[:2], replace(events[2], command="start")]
    undone = undo([*started, replace(events[3], command="undo", cause=events[2].at)], COMMAND)
    assert undone is not None
    assert list(undone.events) == [TaskRequeued()]
    for other in ({}, {"cause": events[0].at}, {"cause": events[2].at, "data": BOB}):
        with pytest.raises(UndoOvertakenError, match="event 4 stands on it"):
            undo([*started, replace(events[3], command="undo", **other)], COMMAND)


def test_undo_of_something_earlier_stands_on_a_command() -> None:
    """It came later and changed what the command left, though together with what it took back it changed nothing."""
    facts = [ADA, TaskRequeued(), ADA, TaskRequeued()]
    made, first, own, back, undoing = history([MADE], [], facts)
    later = [
        replace(first, command="first"),
        replace(own, command=COMMAND),
        replace(back, command="back", cause=own.at),
        replace(undoing, command="undo", cause=first.at),
    ]
    with pytest.raises(UndoOvertakenError, match="event 5 stands on it"):
        undo([made, *later], "back")


@pytest.mark.parametrize(
    ("before", "own", "later", "words"),
    [
        ([MADE], [ASKED], [], "Event 2 is a question that somebody may have read"),
        ([MADE, ADA, START], [ASKED, TaskRequeued()], [ANSWERED, ADA], "Event 4 is a question"),
        ([MADE, ASKED], [ANSWERED], [], "Event 3 is an answer that somebody may have read"),
    ],
)
def test_question_and_answer_are_not_taken_back(
    before: list[Event], own: list[Event], later: list[Event], words: str
) -> None:
    """Whatever came after them: what was asked was asked. The event is named, not the requeueing behind it."""
    with pytest.raises(NotUndoableError, match=words):
        undo(history(before, own, later), COMMAND)


def adopted(state: State, **fields: str) -> TaskAdopted:
    when = "2025-06-01T10:00:00.000Z"
    records = (OldRecord("tt:task:x", "string", "{}"),)
    return TaskAdopted(records=records, description="x", state=state, created_at=when, updated_at=when, **fields)  # type: ignore[arg-type]


def test_adoption_is_not_taken_back() -> None:
    """The old record is set aside, and would not come back."""
    with pytest.raises(NotUndoableError, match="old record is set aside"):
        undo(history([], [adopted(State.PENDING)], []), COMMAND)


def test_state_that_no_command_leads_to_is_not_led_back_to() -> None:
    """An old record may say that a task was completed by nobody; nothing half is done about it."""
    with pytest.raises(NotUndoableError, match="cannot be led back: the agent is missing"):
        undo(
            history([adopted(State.COMPLETED, completed_at="2025-06-01T10:00:00.000Z")], [TaskReopened()], []), COMMAND
        )


def test_pending_task_that_named_somebody_is_led_back_as_nobodys() -> None:
    """An old record may name somebody although nobody has the task; events cannot."""
    undone = undo(history([adopted(State.PENDING, assigned_to="ada")], [BOB], []), COMMAND)
    assert undone is not None
    assert undone.events == (TaskRequeued(),)


def test_damaged_task_is_left_alone() -> None:
    """As by every command (P10)."""
    with pytest.raises(TaskDamagedError):
        undo(history([MADE], [ADA], [DONE]), COMMAND)
