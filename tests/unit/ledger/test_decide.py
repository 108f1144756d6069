"""Deciding: every command in every state, as DESIGN 4 has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger import (
    LINKS_MAX,
    AnswerTask,
    AskTask,
    AssignTask,
    CancelTask,
    CircularNeedsError,
    ClaimTask,
    Command,
    CommandRejectedError,
    CompleteTask,
    CreateTask,
    DescribeTask,
    Event,
    FailTask,
    InvalidValueError,
    LinkKind,
    LinkTask,
    MoveTask,
    NoOpenQuestionError,
    NotAChoiceError,
    NoteTask,
    PrioritiseTask,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    ScheduleTask,
    StartTask,
    State,
    TagTask,
    Task,
    TaskAlreadyExistsError,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskCycleError,
    TaskDescribed,
    TaskFailed,
    TaskFinishedError,
    TaskHasChildrenError,
    TaskHeldError,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskNotFinishedError,
    TaskNotFoundError,
    TaskNotInBacklogError,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnassignedError,
    TaskUnlinked,
    UnlinkTask,
    decide,
)
from tests.support.builders import TASK, a_task, a_task_in, task_id

PARENT, OTHER = task_id(7), task_id(8)
DUE_MS, DUE = 1_795_500_000_000, "2026-11-24T06:00:00.000Z"
TEXT = "Implement user authentication"
TAGS = ("kept",)

Refusal = type[CommandRejectedError]
Outcome = tuple[Event, ...] | Refusal

ALREADY_TRUE: Outcome = ()
ABSENT, FINISHED, HELD, UNASSIGNED = TaskNotFoundError, TaskFinishedError, TaskHeldError, TaskUnassignedError

TO_1 = TaskAssigned("worker-1")
TO_2 = TaskAssigned("worker-2")
STARTED = TaskStarted()
COMPLETED = TaskCompleted("completed")
FAILED = TaskFailed("failed")
CANCELLED = TaskCancelled("cancelled")
CREATED = TaskCreated(TEXT, TAGS)
ASKED = TaskAsked("Which?", ("a", "b"))

STATES: tuple[State | None, ...] = (None, *State)


def anywhere(outcome: Outcome) -> tuple[Outcome, ...]:
    """The same outcome in every state of a task that is there."""
    return (TaskNotFoundError, *(outcome for _ in State))


def while_open(outcome: Outcome) -> tuple[Outcome, ...]:
    """The same outcome in every state that is not terminal."""
    return (TaskNotFoundError, *(FINISHED if state.is_terminal else outcome for state in State))


# Outcomes stand for: no task, pending, assigned, running, completed, failed, cancelled. From assigned on, worker-1 has the
# task; what is described as `completed`, `failed` or `cancelled` is what the finished task has as its result.
TABLE: dict[str, tuple[Command, tuple[Outcome, ...]]] = {
    "create": (
        CreateTask(task_id=TASK, description=TEXT, tags=TAGS),
        ((CREATED,), *(ALREADY_TRUE for _ in State)),
    ),
    "create with other content": (
        CreateTask(task_id=TASK, description="Another", tags=TAGS),
        ((TaskCreated("Another", TAGS),), *(TaskAlreadyExistsError for _ in State)),
    ),
    "create for its agent": (
        CreateTask(task_id=TASK, description=TEXT, tags=TAGS, agent="worker-1"),
        ((CREATED, TO_1), TaskAlreadyExistsError, *(ALREADY_TRUE for _ in list(State)[1:])),
    ),
    "create for another agent": (
        CreateTask(task_id=TASK, description=TEXT, tags=TAGS, agent="worker-2"),
        ((CREATED, TO_2), *(TaskAlreadyExistsError for _ in State)),
    ),
    "assign to its agent": (
        AssignTask(task_id=TASK, agent="worker-1"),
        (ABSENT, (TO_1,), ALREADY_TRUE, ALREADY_TRUE, FINISHED, FINISHED, FINISHED),
    ),
    "assign to another agent": (AssignTask(task_id=TASK, agent="worker-2"), while_open((TO_2,))),
    "claim by its agent": (
        ClaimTask(task_id=TASK, agent="worker-1"),
        (ABSENT, (TO_1,), ALREADY_TRUE, ALREADY_TRUE, FINISHED, FINISHED, FINISHED),
    ),
    "claim by another agent": (
        ClaimTask(task_id=TASK, agent="worker-2"),
        (ABSENT, (TO_2,), HELD, HELD, FINISHED, FINISHED, FINISHED),
    ),
    "start": (
        StartTask(task_id=TASK),
        (ABSENT, UNASSIGNED, (STARTED,), ALREADY_TRUE, FINISHED, FINISHED, FINISHED),
    ),
    "start by its agent": (
        StartTask(task_id=TASK, agent="worker-1"),
        (ABSENT, (TO_1, STARTED), (STARTED,), ALREADY_TRUE, FINISHED, FINISHED, FINISHED),
    ),
    "start by another agent": (
        StartTask(task_id=TASK, agent="worker-2"),
        (ABSENT, (TO_2, STARTED), HELD, HELD, FINISHED, FINISHED, FINISHED),
    ),
    "complete": (
        CompleteTask(task_id=TASK, result="completed"),
        (ABSENT, UNASSIGNED, (STARTED, COMPLETED), (COMPLETED,), ALREADY_TRUE, FINISHED, FINISHED),
    ),
    "complete by its agent": (
        CompleteTask(task_id=TASK, result="completed", agent="worker-1"),
        (ABSENT, (TO_1, STARTED, COMPLETED), (STARTED, COMPLETED), (COMPLETED,), ALREADY_TRUE, FINISHED, FINISHED),
    ),
    "complete by another agent": (
        CompleteTask(task_id=TASK, result="completed", agent="worker-2"),
        (ABSENT, (TO_2, STARTED, COMPLETED), HELD, HELD, FINISHED, FINISHED, FINISHED),
    ),
    "complete with another result": (
        CompleteTask(task_id=TASK, result="Other"),
        (
            ABSENT,
            UNASSIGNED,
            (STARTED, TaskCompleted("Other")),
            (TaskCompleted("Other"),),
            FINISHED,
            FINISHED,
            FINISHED,
        ),
    ),
    "complete without a result": (
        CompleteTask(task_id=TASK),
        (ABSENT, UNASSIGNED, (STARTED, TaskCompleted()), (TaskCompleted(),), FINISHED, FINISHED, FINISHED),
    ),
    "fail": (
        FailTask(task_id=TASK, error="failed"),
        (ABSENT, UNASSIGNED, (STARTED, FAILED), (FAILED,), FINISHED, ALREADY_TRUE, FINISHED),
    ),
    "fail by its agent": (
        FailTask(task_id=TASK, error="failed", agent="worker-1"),
        (ABSENT, (TO_1, STARTED, FAILED), (STARTED, FAILED), (FAILED,), FINISHED, ALREADY_TRUE, FINISHED),
    ),
    "fail by another agent": (
        FailTask(task_id=TASK, error="failed", agent="worker-2"),
        (ABSENT, (TO_2, STARTED, FAILED), HELD, HELD, FINISHED, FINISHED, FINISHED),
    ),
    "fail with another error": (
        FailTask(task_id=TASK, error="Other"),
        (ABSENT, UNASSIGNED, (STARTED, TaskFailed("Other")), (TaskFailed("Other"),), FINISHED, FINISHED, FINISHED),
    ),
    "cancel": (
        CancelTask(task_id=TASK, reason="cancelled"),
        (ABSENT, (CANCELLED,), (CANCELLED,), (CANCELLED,), FINISHED, FINISHED, ALREADY_TRUE),
    ),
    "cancel for another reason": (CancelTask(task_id=TASK, reason="Other"), while_open((TaskCancelled("Other"),))),
    "requeue": (
        RequeueTask(task_id=TASK),
        (ABSENT, ALREADY_TRUE, (TaskRequeued(),), (TaskRequeued(),), FINISHED, FINISHED, FINISHED),
    ),
    "reopen": (
        ReopenTask(task_id=TASK),
        (ABSENT, ALREADY_TRUE, TaskNotFinishedError, TaskNotFinishedError, *(((TaskReopened(),),) * 3)),
    ),
    "describe": (DescribeTask(task_id=TASK, description="Better"), while_open((TaskDescribed("Better"),))),
    "describe as it is": (DescribeTask(task_id=TASK, description=TEXT), anywhere(ALREADY_TRUE)),
    "tag": (
        TagTask(task_id=TASK, added=("new",), removed=("kept",)),
        anywhere((TaskTagged(("new",), ("kept",)),)),
    ),
    "tag as it is": (TagTask(task_id=TASK, added=("kept",), removed=("new",)), anywhere(ALREADY_TRUE)),
    "move": (MoveTask(task_id=TASK, parent_id=PARENT), while_open((TaskMoved(PARENT),))),
    "move to where it is": (MoveTask(task_id=TASK, parent_id=None), anywhere(ALREADY_TRUE)),
    "prioritise": (PrioritiseTask(task_id=TASK, priority=0), anywhere((TaskPrioritised(0),))),
    "prioritise as it is": (PrioritiseTask(task_id=TASK, priority=2), anywhere(ALREADY_TRUE)),
    "schedule": (
        ScheduleTask(task_id=TASK, due_ms=DUE_MS, not_before_ms=None),
        anywhere((TaskScheduled(DUE, None),)),
    ),
    "schedule as it is": (ScheduleTask(task_id=TASK, due_ms=None, not_before_ms=None), anywhere(ALREADY_TRUE)),
    "link": (
        LinkTask(task_id=TASK, to=(OTHER, PARENT, OTHER), kind=LinkKind.NEEDS),
        anywhere((TaskLinked(LinkKind.NEEDS, OTHER), TaskLinked(LinkKind.NEEDS, PARENT))),
    ),
    "link to nothing": (LinkTask(task_id=TASK, to=(), kind=LinkKind.NEEDS), anywhere(ALREADY_TRUE)),
    "link that closes a circle": (
        LinkTask(task_id=TASK, to=(OTHER,), kind=LinkKind.NEEDS, circle=(TASK, OTHER, TASK)),
        anywhere(CircularNeedsError),
    ),
    "unlink as it is": (UnlinkTask(task_id=TASK, to=(OTHER,)), anywhere(ALREADY_TRUE)),
    "ask": (
        AskTask(task_id=TASK, question="Which?", choices=("a", "b")),
        (
            ABSENT,
            (ASKED,),
            (ASKED, TaskRequeued()),
            (ASKED, TaskRequeued()),
            FINISHED,
            FINISHED,
            FINISHED,
        ),
    ),
    "answer without a question": (AnswerTask(task_id=TASK, answer="a"), anywhere(NoOpenQuestionError)),
    "note": (NoteTask(task_id=TASK, text="Half done"), anywhere((TaskNoted("Half done"),))),
    "remove": (RemoveTask(task_id=TASK), anywhere((TaskRemoved(),))),
    "remove with children": (RemoveTask(task_id=TASK, children=2), anywhere(TaskHasChildrenError)),
    "remove from the backlog": (
        RemoveTask(task_id=TASK, is_from_backlog=True),
        (ABSENT, (TaskRemoved(),), *(TaskNotInBacklogError for _ in list(State)[1:])),
    ),
}


def cells() -> Iterator[object]:
    for name, (command, outcomes) in TABLE.items():
        for state, outcome in zip(STATES, outcomes, strict=True):
            yield pytest.param(state, command, outcome, id=f"{name}-{state or 'no task'}")


@pytest.mark.parametrize(("state", "command", "outcome"), list(cells()))
def test_decide_in_each_state_follows_the_machine(state: State | None, command: Command, outcome: Outcome) -> None:
    """Each command in each state leads to these events, to none because it is already true, or to this refusal."""
    task = None if state is None else a_task_in(state, tags=TAGS)
    if isinstance(outcome, type):
        with pytest.raises(CommandRejectedError) as caught:
            decide(task, command)
        assert type(caught.value) is outcome
    else:
        assert decide(task, command) == list(outcome)


def test_table_has_every_command() -> None:
    """No command is left out of the table above."""
    assert {type(command) for command, _ in TABLE.values()} == set(Command.__subclasses__())


@pytest.mark.parametrize("state", State)
def test_decide_leaves_the_task_as_it_was(state: State) -> None:
    """Deciding is pure: it changes nothing of the state it looks at."""
    task = a_task_in(state, tags=TAGS)
    for command, outcomes in TABLE.values():
        if not isinstance(outcomes[STATES.index(state)], type):
            decide(task, command)
    assert task == a_task_in(state, tags=TAGS)


def test_create_with_parent_and_alias_holds_the_full_content() -> None:
    """The event alone rebuilds the task: description, tags, parent and alias are all in it."""
    command = CreateTask(task_id=TASK, description=TEXT, tags=("b", "a"), parent_id=PARENT, alias="bd-1")
    assert decide(None, command) == [TaskCreated(TEXT, ("a", "b"), PARENT, "bd-1")]


@pytest.mark.parametrize(
    "field", [{"description": "Another"}, {"tags": ("x",)}, {"parent_id": PARENT}, {"alias": "bd-2"}], ids=str
)
def test_create_again_with_other_content_is_refused(field: dict[str, object]) -> None:
    """A task is made once; whatever differs of its content is refused and names the alias."""
    task = a_task(alias="bd-1")
    content: dict[str, object] = {"description": TEXT, "alias": "bd-1"} | field
    with pytest.raises(TaskAlreadyExistsError, match="bd-1"):
        decide(task, CreateTask(task_id=TASK, **content))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("state", [State.PENDING, State.ASSIGNED, State.RUNNING])
@pytest.mark.parametrize(
    ("parent", "lineage"),
    [(TASK, ()), (PARENT, (PARENT, TASK)), (PARENT, (TASK,)), (PARENT, (task_id(8), task_id(9), TASK, task_id(10)))],
    ids=["itself", "its child", "its child, without the parent", "deep below it"],
)
def test_move_below_itself_is_refused(state: State, parent: str, lineage: tuple[str, ...]) -> None:
    """A task never goes into its own subtree, however deep the new parent lies in it."""
    with pytest.raises(TaskCycleError) as caught:
        decide(a_task_in(state), MoveTask(task_id=TASK, parent_id=parent, lineage=lineage))
    assert (caught.value.task_id, caught.value.parent) == (TASK, parent)


def test_move_below_an_unknown_task_is_accepted() -> None:
    """A new parent whose lineage does not hold the task is fine."""
    command = MoveTask(task_id=TASK, parent_id=PARENT, lineage=(task_id(8), task_id(9)))
    assert decide(a_task(parent_id=task_id(3)), command) == [TaskMoved(PARENT)]


def test_move_to_the_top_clears_the_parent() -> None:
    """Moving below none is an event with no parent."""
    assert decide(a_task(parent_id=PARENT), MoveTask(task_id=TASK, parent_id=None)) == [TaskMoved(None)]


def test_tag_with_some_already_true_appends_only_the_change() -> None:
    """Of tags to add and remove, those that are there or gone already are left out."""
    command = TagTask(task_id=TASK, added=("old", "new"), removed=("gone", "stale"))
    assert decide(a_task(tags=("old", "stale")), command) == [TaskTagged(("new",), ("stale",))]


def test_tag_both_added_and_removed_is_refused() -> None:
    """A tag cannot be wished and unwished at once."""
    with pytest.raises(InvalidValueError, match="'b' is both added and removed"):
        TagTask(task_id=TASK, added=("a", "b"), removed=("c", "b"))


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: decide(None, ReopenTask(task_id=TASK)), f"No task is called '{TASK}'"),
        (lambda: decide(a_task(), StartTask(task_id=TASK)), "Nobody has task"),
        (lambda: decide(a_task(), FailTask(task_id=TASK)), "Nobody has task"),
        (lambda: decide(a_task_in(State.ASSIGNED), ClaimTask(task_id=TASK, agent="bob")), "is with worker-1, not bob"),
        (lambda: decide(a_task_in(State.COMPLETED), RequeueTask(task_id=TASK)), "is completed already"),
        (
            lambda: decide(a_task_in(State.RUNNING), ReopenTask(task_id=TASK)),
            "is running, so there is nothing to reopen",
        ),
        (lambda: decide(a_task(), RemoveTask(task_id=TASK, children=1)), "has 1 task below it"),
        (lambda: decide(a_task(), RemoveTask(task_id=TASK, children=3)), "has 3 tasks below it"),
        (lambda: PrioritiseTask(task_id=TASK, priority=5), "priority is 5"),
        (lambda: PrioritiseTask(task_id=TASK, priority=-1), "priority is -1"),
        (lambda: AskTask(task_id=TASK, question=" "), "question is empty"),
        (lambda: AskTask(task_id=TASK, question="?", choices=tuple("abcdefghijklmnopqrstu")), "choices are 21"),
        (lambda: AnswerTask(task_id=TASK, answer=""), "answer is empty"),
    ],
    ids=range(13),
)
def test_refusal_says_what_is_wrong(refused: object, words: str) -> None:
    """Each refusal names the task and what is wrong with the wish; `tests/unit/cli/test_advice.py` has the way on."""
    assert callable(refused)
    with pytest.raises(CommandRejectedError, match=words):
        refused()


@pytest.mark.parametrize(
    "task", [a_task(alias="x"), a_task_in(State.FAILED), a_task(tags=("a",), parent_id=PARENT)], ids=["1", "2", "3"]
)
def test_note_twice_is_two_notes(task: Task) -> None:
    """A note is never already true: what is said twice is written twice."""
    command = NoteTask(task_id=TASK, text="Still going")
    assert decide(task, command) == decide(task, command) == [TaskNoted("Still going")]


def test_create_with_everything_says_each_fact_in_an_event_of_its_own() -> None:
    """Priority, times and needs follow the creation, and the assignment comes last."""
    command = CreateTask(
        task_id=TASK, description=TEXT, agent="worker-1", priority=1, due_ms=DUE_MS, needs=(PARENT, OTHER, PARENT)
    )
    events = [
        TaskCreated(TEXT),
        TaskPrioritised(1),
        TaskScheduled(DUE, None),
        TaskLinked(LinkKind.NEEDS, PARENT),
        TaskLinked(LinkKind.NEEDS, OTHER),
        TO_1,
    ]
    assert decide(None, command) == events
    made = a_task_in(State.ASSIGNED, priority=1, due_ms=DUE_MS, needs=(PARENT, OTHER))
    assert decide(made, command) == []


@pytest.mark.parametrize(
    "field", [{"priority": 1}, {"due_ms": DUE_MS}, {"not_before_ms": DUE_MS}, {"needs": (PARENT,)}], ids=str
)
def test_create_again_with_other_facts_is_refused(field: dict[str, object]) -> None:
    """Priority, times and needs are content of a creation, too."""
    with pytest.raises(TaskAlreadyExistsError):
        decide(a_task(), CreateTask(task_id=TASK, description=TEXT, **field))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (
            CreateTask(task_id=TASK, description=TEXT, circle=(TASK, OTHER, TASK)),
            f"the new task -> {OTHER} -> the new task",
        ),
        (
            CreateTask(task_id=TASK, description=TEXT, alias="x", circle=(OTHER, TASK, OTHER)),
            f"{OTHER} -> x -> {OTHER}",
        ),
        (MoveTask(task_id=TASK, parent_id=PARENT, circle=(TASK, PARENT, TASK)), f"{TASK} -> {PARENT} -> {TASK}"),
    ],
    ids=["create", "create with alias", "move"],
)
def test_circle_of_needs_is_refused_with_its_path(command: Command, path: str) -> None:
    """A creation and a move can close a circle as a link can. What was not made has no id that anybody could look at."""
    with pytest.raises(CircularNeedsError) as caught:
        decide(None if isinstance(command, CreateTask) else a_task(), command)
    assert path in str(caught.value)
    assert isinstance(command, MoveTask) or caught.value.known == OTHER


def test_link_that_is_there_is_no_circle() -> None:
    """What is so already is not refused: nothing is appended."""
    command = LinkTask(task_id=TASK, to=(OTHER,), kind=LinkKind.NEEDS, circle=(TASK, OTHER, TASK))
    assert decide(a_task(needs=(OTHER,)), command) == []


def test_link_to_itself_is_refused() -> None:
    """Neither a link nor a creation makes a task need itself."""
    for task, command in (
        (a_task(), LinkTask(task_id=TASK, to=(OTHER, TASK), kind=LinkKind.RELATES)),
        (None, CreateTask(task_id=TASK, description=TEXT, needs=(TASK,))),
    ):
        with pytest.raises(InvalidValueError, match="leads from the task to itself"):
            decide(task, command)


def test_links_of_all_kinds_together_have_a_limit() -> None:
    """The last one that fits is taken; one more is refused, and nothing of the command is appended."""
    many = tuple(task_id(number) for number in range(100, 99 + LINKS_MAX))
    task = a_task(needs=many[:500], relates=many[500:])
    assert decide(task, LinkTask(task_id=TASK, to=(many[0], OTHER), kind=LinkKind.NEEDS)) == [
        TaskLinked(LinkKind.NEEDS, OTHER)
    ]
    with pytest.raises(InvalidValueError, match="more than 1,000"):
        decide(task, LinkTask(task_id=TASK, to=(OTHER, PARENT), kind=LinkKind.DUPLICATES))
    with pytest.raises(InvalidValueError, match="more than 1,000"):
        decide(None, CreateTask(task_id=TASK, description=TEXT, needs=(*many, OTHER, PARENT)))


def test_unlink_takes_one_kind_or_all() -> None:
    """Only links that are there lead to events."""
    task = a_task(needs=(OTHER, PARENT), relates=(OTHER,))
    to = (OTHER, task_id(9))
    assert decide(task, UnlinkTask(task_id=TASK, to=to, kind=LinkKind.RELATES)) == [
        TaskUnlinked(LinkKind.RELATES, OTHER)
    ]
    assert decide(task, UnlinkTask(task_id=TASK, to=to)) == [
        TaskUnlinked(LinkKind.NEEDS, OTHER),
        TaskUnlinked(LinkKind.RELATES, OTHER),
    ]


@pytest.mark.parametrize("state", [State.PENDING, State.ASSIGNED, State.RUNNING])
def test_open_question_takes_one_answer(state: State) -> None:
    """One of its choices, unless it is said that the words are other ones; the same answer again is true already; another one
    has no question any more.
    """
    asked = a_task_in(state, question="Which?", choices=("a", "b"))
    with pytest.raises(NotAChoiceError, match="1 a, 2 b"):
        decide(asked, AnswerTask(task_id=TASK, answer="c, of course"))
    other = AnswerTask(task_id=TASK, answer="c, of course", is_other=True)
    assert decide(asked, other) == [TaskAnswered("c, of course")]
    assert decide(asked, AnswerTask(task_id=TASK, answer="2")) == [TaskAnswered("b")]
    answered = a_task_in(state, question="Which?", answer="a")
    assert decide(answered, AnswerTask(task_id=TASK, answer="a")) == []
    with pytest.raises(NoOpenQuestionError, match="waits for no answer"):
        decide(answered, AnswerTask(task_id=TASK, answer="b"))


@pytest.mark.parametrize("state", [state for state in State if state.is_terminal])
def test_question_of_a_finished_task_is_not_open(state: State) -> None:
    """Nobody waits for its answer any more."""
    task = a_task_in(state, question="Which?")
    assert not task.has_open_question
    with pytest.raises(NoOpenQuestionError):
        decide(task, AnswerTask(task_id=TASK, answer="a"))


def test_question_that_is_open_already_is_asked_once() -> None:
    """The same question again appends nothing where the task waits, and sends it back where somebody has it."""
    command = AskTask(task_id=TASK, question="Which?", choices=("a",))
    assert decide(a_task(question="Which?", choices=("a",)), command) == []
    assert decide(a_task_in(State.RUNNING, question="Which?", choices=("a",)), command) == [TaskRequeued()]
    for other in ({"question": "Why?"}, {"question": "Which?", "answer": "a"}):
        assert decide(a_task(**({"choices": ("a",)} | other)), command) == [TaskAsked("Which?", ("a",))]
