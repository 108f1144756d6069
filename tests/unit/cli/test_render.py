"""How tasks, events and histories read: the cells of tables and the lines of trees."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from cli.beside import Beside
from cli.output import Cell
from cli.render import (
    NOTHING,
    agent_rows,
    event_line,
    event_words,
    states_line,
    step_rows,
    task_fields,
    task_rows,
    tree_lines,
)
from ledger import (
    Event,
    LinkKind,
    RecordedEvent,
    State,
    Step,
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
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    steps,
)
from tests.support.builders import TASK, a_task, a_task_in, recorded, task_id
from town import Branch

ESCAPE = "\x1b[31m"
SHOWN = "\\x1b[31m"
DUE_MS, DUE = 1_795_500_000_000, "2026-11-24T06:00:00.000Z"


def words(cells: Sequence[Cell]) -> list[str]:
    return [str(cell) for cell in cells]


def an_event_of(data: Event, **fields: str) -> RecordedEvent:
    return msgspec.structs.replace(recorded([data])[0], **fields)


# --- tasks -------------------------------------------------------------------------------------------------------


def test_task_rows_leave_out_tags_that_nobody_has() -> None:
    """A column is there where one task fills it; a task without an agent shows a dash."""
    columns, rows = task_rows([a_task()])
    assert columns == ["TASK", "STATE", "AGENT", "TITLE"]
    assert words(rows[0]) == ["550e8400", "⏳ pending", NOTHING, "Implement user authentication"]
    columns, rows = task_rows([a_task(), a_task_in(State.FAILED, tags=("a", "b"), alias="auth")])
    assert columns[-1] == "TAGS"
    assert [str(row[-1]) for row in rows] == ["", "a, b"]
    assert words(rows[1])[:3] == ["auth", "❌ failed", "worker-1"]


def test_task_rows_have_priority_and_due_time_where_a_task_has_one() -> None:
    """Told from the moment that is shown; what ended is not late any more, and without a moment nothing is told."""
    tasks = [a_task(priority=0, due_ms=DUE_MS), a_task_in(State.COMPLETED, due_ms=DUE_MS), a_task()]
    day = 24 * 60 * 60 * 1000
    columns, rows = task_rows(tasks, now_ms=DUE_MS + 3 * day)
    assert columns == ["TASK", "STATE", "PRIO", "AGENT", "DUE", "TITLE"]
    assert [words(row)[2] for row in rows] == ["0", "2", "2"]
    assert [words(row)[4] for row in rows] == ["3 days late", "2026-11-24", NOTHING]
    assert words(task_rows(tasks, now_ms=DUE_MS - day)[1][0])[4] == "tomorrow"
    assert "DUE" not in task_rows(tasks)[0]
    assert task_rows(tasks[1:2] + tasks[2:], now_ms=DUE_MS)[0] == ["TASK", "STATE", "AGENT", "DUE", "TITLE"]


def test_task_rows_have_needs_and_times_to_begin_where_a_task_has_one() -> None:
    """By name, of many the first and how many others; a time to begin that has passed is nothing to know."""
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(5)]
    tasks = [a_task(needs=tuple(ids[:2]), not_before_ms=DUE_MS), a_task(needs=tuple(ids)), a_task()]
    names = {task_id: f"t{9 - number}" for number, task_id in enumerate(ids)}
    columns, rows = task_rows(tasks, now_ms=DUE_MS - 2 * 60 * 60 * 1000, names=names)
    assert columns == ["TASK", "STATE", "AGENT", "NOT BEFORE", "TITLE", "NEEDS"]
    assert [words(row)[3] for row in rows] == ["in 2 h", NOTHING, NOTHING]
    assert [words(row)[5] for row in rows] == ["t8, t9", "t7, t8, t9 and 2 others", NOTHING]
    assert task_rows(tasks, now_ms=DUE_MS)[0] == ["TASK", "STATE", "AGENT", "TITLE"]
    ended = [a_task_in(State.COMPLETED, not_before_ms=DUE_MS)]
    assert "NOT BEFORE" not in task_rows(ended, now_ms=DUE_MS - 1)[0]


def test_due_field_says_how_far_it_is() -> None:
    """From the moment that is shown; of what ended, the time alone."""
    told = [
        str(dict(task_fields(task, now_ms=now_ms))["Due"])
        for task in (a_task(due_ms=DUE_MS), a_task_in(State.COMPLETED, due_ms=DUE_MS))
        for now_ms in (DUE_MS + 7_200_000, DUE_MS - 7_200_000)
    ]
    time = "2026-11-24 06:00:00 UTC"
    assert told == [f"{time} (2 h late)", f"{time} (in 2 h)", time, time]


def test_task_fields_are_those_that_hold_something() -> None:
    """An empty field is left out, in one order."""
    assert [name for name, _ in task_fields(a_task())] == ["Task", "State", "Description", "Created", "Updated"]
    ended = a_task_in(State.COMPLETED, alias="auth", tags=("a",), parent_id=task_id(1))
    assert [name for name, _ in task_fields(ended)] == [
        "Task",
        "Alias",
        "State",
        "Agent",
        "Description",
        "Result",
        "Tags",
        "Parent",
        "Created",
        "Started",
        "Ended",
        "Updated",
    ]


def test_task_fields_name_the_parent() -> None:
    """By what people call it and what it is for; one that was removed by its id."""
    child = a_task(parent_id=task_id(1))
    assert dict(task_fields(child))["Parent"] == f"{task_id(1)} (removed)"
    assert dict(task_fields(child, parent=a_task(alias="epic", description="All")))["Parent"] == "epic  All"


def test_task_fields_say_priority_times_links_and_questions() -> None:
    """What nobody set is left out. Links are short, times are the user's, and line breaks of words stay."""
    task = a_task(
        priority=0,
        due_ms=DUE_MS,
        not_before_ms=DUE_MS,
        needs=(task_id(1), TASK),
        discovered_from=(TASK,),
        question="Which\none?",
        choices=("a", "b c"),
        answer="a\nb",
    )
    shown = [(name, str(cell)) for name, cell in task_fields(task)]
    assert shown[3:6] == [("Question", "Which\none?"), ("Choices", "1 a, 2 b c"), ("Answer", "a\nb")]
    assert shown[-5:] == [
        ("Priority", "0"),
        ("Due", "2026-11-24 06:00:00 UTC"),
        ("Not before", "2026-11-24 06:00:00 UTC"),
        ("Needs", "00000000, 550e8400"),
        ("Discovered from", "550e8400"),
    ]


def test_states_line_has_every_state() -> None:
    """Also those that no task is in, in the order of a task's life."""
    line = states_line(dict.fromkeys(State, 0) | {State.RUNNING: 1_234})
    assert line == "⏳ 0 pending  📌 0 assigned  🔄 1,234 running  ✅ 0 completed  ❌ 0 failed  🚫 0 cancelled"


def test_agent_rows_end_with_the_backlog() -> None:
    """Zeros are dots, so that numbers stand out; an empty backlog is no row."""
    counts = dict.fromkeys(State, 0) | {State.RUNNING: 2}
    columns, rows = agent_rows({"ada": counts}, 1_000)
    assert len(columns) == len(rows[0]) == len(rows[1]) == 1 + len(State)
    assert words(rows[0]) == ["ada", "·", "·", "2", "·", "·", "·"]
    assert words(rows[1])[:2] == ["(backlog)", "1,000"]
    assert len(agent_rows({"ada": counts}, 0)[1]) == 1


# --- trees -------------------------------------------------------------------------------------------------------


def a_branch(depth: int, name: str, **children: int) -> Branch:
    return Branch(
        a_task(alias=name, description=name.upper()), depth, {State(state): n for state, n in children.items()}
    )


TREE = [
    a_branch(0, "a", completed=1, pending=1),
    a_branch(1, "b"),
    a_branch(2, "c"),
    a_branch(1, "d"),
    a_branch(0, "e"),
]


def test_tree_lines_join_parents_and_children() -> None:
    """The last of siblings closes the fork, and a line goes on beside those below the others."""
    assert [line.plain for line in tree_lines(TREE, levels_max=9)] == [
        "⏳ a  A  1/2 done",
        "├─ ⏳ b  B",
        "│  └─ ⏳ c  C",
        "└─ ⏳ d  D",
        "⏳ e  E",
    ]


def test_tree_lines_count_what_lies_deeper() -> None:
    """Nothing is left out without a word, in the middle and at the end."""
    assert [line.plain for line in tree_lines(TREE, levels_max=1)][2] == "│  … 1 below"
    assert [line.plain for line in tree_lines([*TREE[:3], TREE[2]], levels_max=0)] == ["⏳ a  A  1/2 done", "… 3 below"]


def test_tree_lines_say_how_the_others_ended() -> None:
    """What failed or was cancelled is not done, and is told apart."""
    (line,) = tree_lines([a_branch(0, "a", completed=2, failed=1, cancelled=3)], levels_max=0)
    assert line.plain.endswith("2/6 done, 1 failed, 3 cancelled")


# --- events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (TaskCreated("one\ntwo"), "created: one"),
        (TaskAssigned("ada"), "assigned to ada"),
        (TaskStarted(), "started"),
        (TaskCompleted("ok"), "completed: ok"),
        (TaskCompleted(None), "completed"),
        (TaskFailed("why"), "failed: why"),
        (TaskCancelled("no"), "cancelled: no"),
        (TaskDescribed("b"), "described: b"),
        (TaskDescribed("b\n\nc\n"), "described: b, with 2 more lines"),
        (TaskTagged(("new",), ("old",)), "tagged: +new -old"),
        (TaskMoved(TASK), "moved below 550e8400"),
        (TaskMoved(None), "moved to the top"),
        (TaskNoted("half"), "noted: half"),
        (TaskPrioritised(0), "prioritised: priority 0"),
        (TaskScheduled(DUE, DUE), "scheduled: due 2026-11-24 06:00:00 UTC, not before 2026-11-24 06:00:00 UTC"),
        (TaskScheduled(None, None), "scheduled: at no time"),
        (TaskLinked(LinkKind.NEEDS, TASK), "linked needs 550e8400"),
        (TaskUnlinked(LinkKind.DISCOVERED_FROM, TASK), "unlinked discovered from 550e8400"),
        (TaskAsked("Which?"), "asked: Which?"),
        (TaskAsked("Which\none?", ("a", "b c")), "asked: Which ⏎ one? (a, b c)"),
        (TaskAnswered("a"), "answered: a"),
        (TaskRemoved(), "removed"),
    ],
)
def test_event_words_say_what_happened(data: Event, shown: str) -> None:
    """In one line, with a reason in brackets where somebody gave one."""
    assert event_words(an_event_of(data)) == shown
    assert event_words(an_event_of(data, reason="as asked")) == f"{shown} (as asked)"


def test_event_line_has_number_time_actor_task_and_words() -> None:
    """In columns that line up for most."""
    line = event_line(an_event_of(TaskNoted("half")), Beside()).plain
    assert line.split() == ["1", "2026-11-23", "01:48:23", "UTC", "alice", "550e8400", "noted:", "half"]


def test_step_rows_have_reasons_only_where_there_are_some() -> None:
    """A column WHY that nobody fills is left out; a note shows its text, and other events what they changed."""
    history = recorded([TaskCreated("a"), TaskNoted("half"), TaskAssigned("ada")])
    columns, rows = step_rows(steps(history))
    assert columns == ["EVENT", "TIME (UTC)", "ACTOR", "WHAT", "CHANGED"]
    assert [words(row)[-2:] for row in rows] == [
        ["created", "description: — → a  state: — → pending"],
        ["noted", "half"],
        ["assigned", "state: pending → assigned  assigned_to: — → ada"],
    ]
    history[1] = msgspec.structs.replace(history[1], reason="to tell")
    columns, rows = step_rows(steps(history))
    assert [words(row)[columns.index("WHY")] for row in rows] == ["", "to tell", ""]


def test_step_rows_show_times_of_the_user_and_links_that_came_or_went() -> None:
    """Not all links that the task has: there may be a thousand."""
    others = [task_id(1), TASK]
    facts = [
        TaskCreated("a"),
        TaskPrioritised(0),
        TaskScheduled(None, DUE),
        *(TaskLinked(LinkKind.NEEDS, each) for each in others),
        TaskUnlinked(LinkKind.NEEDS, TASK),
        TaskAsked("Which?", ("a", "b")),
        TaskAnswered("b"),
    ]
    _, rows = step_rows(steps(recorded(facts, task=task_id(9))))
    assert [words(row)[-1] for row in rows[1:]] == [
        "priority: 2 → 0",
        "not_before: — → 2026-11-24 06:00:00 UTC",
        "needs: +00000000",
        "needs: +550e8400",
        "needs: -550e8400",
        "question: — → Which?  choices: — → a, b",
        "answer: — → b",
    ]


def test_what_a_terminal_might_obey_is_written_out() -> None:
    """In every cell that holds somebody's words."""
    texts = dict.fromkeys(("description", "assigned_to", "alias", "result", "question", "answer"), ESCAPE)
    task = a_task(tags=(ESCAPE,), choices=(ESCAPE,), **texts)
    event = an_event_of(TaskNoted(ESCAPE), actor=ESCAPE, reason=ESCAPE)
    asked = [an_event_of(TaskAsked(ESCAPE, (ESCAPE,))), an_event_of(TaskAnswered(ESCAPE))]
    shown = [
        *words(task_rows([task])[1][0]),
        *words([cell for _, cell in task_fields(task, parent=task)]),
        *(line.plain for line in tree_lines([Branch(task, 0, {})], levels_max=0)),
        event_line(event, Beside()).plain,
        *words(step_rows([Step(event, ()), *(Step(each, ()) for each in asked)])[1][0]),
        *(event_words(each) for each in asked),
        *words(agent_rows({ESCAPE: dict.fromkeys(State, 0)}, 0)[1][0]),
    ]
    assert not any("\x1b" in each for each in shown)
    assert sum(each.count(SHOWN) for each in shown) >= 23
