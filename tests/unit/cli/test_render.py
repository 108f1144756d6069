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
    RecordedEvent,
    State,
    Step,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskMoved,
    TaskNoted,
    TaskRemoved,
    TaskStarted,
    TaskTagged,
    steps,
)
from tests.support.builders import TASK, a_task, a_task_in, recorded, task_id
from town import Branch

ESCAPE = "\x1b[31m"
SHOWN = "\\x1b[31m"


def words(cells: Sequence[Cell]) -> list[str]:
    return [str(cell) for cell in cells]


def an_event_of(data: Event, **fields: str) -> RecordedEvent:
    return msgspec.structs.replace(recorded([data])[0], **fields)


# --- tasks -------------------------------------------------------------------------------------------------------


def test_task_rows_leave_out_tags_that_nobody_has() -> None:
    """A column is there where one task fills it; a task without an agent shows a dash."""
    columns, rows = task_rows([a_task()])
    assert columns == ["TASK", "STATE", "AGENT", "DESCRIPTION"]
    assert words(rows[0]) == ["550e8400", "⏳ pending", NOTHING, "Implement user authentication"]
    columns, rows = task_rows([a_task(), a_task_in(State.FAILED, tags=("a", "b"), alias="auth")])
    assert columns[-1] == "TAGS"
    assert [str(row[-1]) for row in rows] == ["", "a, b"]
    assert words(rows[1])[:3] == ["auth", "❌ failed", "worker-1"]


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
        (TaskCreated("one\ntwo"), "created: one ⏎ two"),
        (TaskAssigned("ada"), "assigned to ada"),
        (TaskStarted(), "started"),
        (TaskCompleted("ok"), "completed: ok"),
        (TaskCompleted(None), "completed"),
        (TaskFailed("why"), "failed: why"),
        (TaskCancelled("no"), "cancelled: no"),
        (TaskDescribed("b"), "described: b"),
        (TaskTagged(("new",), ("old",)), "tagged: +new -old"),
        (TaskMoved(TASK), "moved below 550e8400"),
        (TaskMoved(None), "moved to the top"),
        (TaskNoted("half"), "noted: half"),
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


def test_what_a_terminal_might_obey_is_written_out() -> None:
    """In every cell that holds somebody's words."""
    task = a_task(description=ESCAPE, assigned_to=ESCAPE, tags=(ESCAPE,), alias=ESCAPE, result=ESCAPE)
    event = an_event_of(TaskNoted(ESCAPE), actor=ESCAPE, reason=ESCAPE)
    shown = [
        *words(task_rows([task])[1][0]),
        *words([cell for _, cell in task_fields(task, parent=task)]),
        *(line.plain for line in tree_lines([Branch(task, 0, {})], levels_max=0)),
        event_line(event, Beside()).plain,
        *words(step_rows([Step(event, ())])[1][0]),
        *words(agent_rows({ESCAPE: dict.fromkeys(State, 0)}, 0)[1][0]),
    ]
    assert not any("\x1b" in each for each in shown)
    assert sum(each.count(SHOWN) for each in shown) >= 17
