"""Priority and due times on the command line: set, cleared, listed and sorted, and told as a person says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.tt import Tt

pytestmark = pytest.mark.usefixtures("town")


def aliases(tt: Tt, *words: str) -> list[str]:
    ran = tt("task", "list", *words, "--json=alias")
    assert ran.code == 0, ran.err
    return [task["alias"] for task in ran.json["tasks"]]


@pytest.fixture
def board(tt: Tt) -> Tt:
    """Four tasks: one late, one due soon, one for later, one that nobody rated."""
    for words in (
        ("task", "create", "Late", "--alias", "late", "--due", "2 days ago", "--priority", "3"),
        ("assign", "ada", "Soon", "--alias", "soon", "--due", "in 2 h", "--priority", "0"),
        ("backlog", "add", "Later", "--alias", "later", "--not-before", "2126-12-01", "--priority", "0"),
        ("task", "create", "Plain", "--alias", "plain"),
    ):
        assert tt(*words).code == 0
    return tt


def test_a_task_is_created_with_all_of_it_in_one_append(board: Tt) -> None:
    """Created, prioritised, scheduled and assigned are of one command."""
    events = [event for event in board("events", "--json").json["events"] if event["task"]][:9]
    commands = {event["command"] for event in events if event["type"] != "task.created"}
    assert commands <= {event["command"] for event in events if event["type"] == "task.created"}
    task = board("task", "show", "later", "--json").json["task"]
    assert (task["priority"], task["not_before"][:4]) == (0, "2126")
    assert "due" not in task


def test_lists_filter_and_sort_by_them(board: Tt) -> None:
    """By several priorities, by what is overdue, and in both orders; what has no due time comes last."""
    assert aliases(board, "--priority", "0") == ["soon", "later"]
    assert aliases(board, "--priority", "2", "--priority", "3") == ["late", "plain"]
    assert aliases(board, "--overdue") == ["late"]
    assert aliases(board, "--overdue", "--priority", "0") == []
    assert aliases(board, "--sort", "priority") == ["soon", "later", "plain", "late"]
    assert aliases(board, "--sort", "due") == ["late", "soon", "later", "plain"]
    assert aliases(board, "--sort", "due", "--reverse", "--limit", "2", "--offset", "1") == ["later", "soon"]
    board("task", "cancel", "late")
    assert aliases(board, "--overdue") == []


def test_lists_filter_at_a_moment(board: Tt) -> None:
    """As of then: what was set later does not count, and overdue is what was so then."""
    before = board("events", "--json").json["events"][-1]["number"]
    board("task", "prioritise", "plain", "0")
    board("task", "schedule", "late", "--due", "none")
    at = ("--at", str(before))
    assert aliases(board, "--priority", "0", *at) == ["soon", "later"]
    assert aliases(board, "--overdue", *at) == ["late"]
    assert aliases(board, "--sort", "priority", *at) == ["soon", "later", "plain", "late"]
    assert aliases(board, "--overdue") == []


def test_columns_are_there_where_they_say_something(board: Tt) -> None:
    """PRIO, DUE and NOT BEFORE; none where every task has what nobody set."""
    head, *rows = board("task", "list").out.splitlines()
    assert head.split() == ["TASK", "STATE", "PRIO", "AGENT", "DUE", "NOT", "BEFORE", "TITLE"]
    assert [("2 days late" in row, "in 2 h" in row) for row in rows] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
    ]
    assert board("task", "list", "--priority", "2").out.splitlines()[0].split() == ["TASK", "STATE", "AGENT", "TITLE"]


def test_schedule_keeps_clears_and_replaces(board: Tt) -> None:
    """What is not given stays; `none` takes one time away, --clear both; nothing given is a mistake."""
    assert "is due" in board("task", "schedule", "later", "--due", "2126-12-03").out
    task = board("task", "show", "later", "--json").json["task"]
    assert (task["due"][:10], task["not_before"][:10]) == ("2126-12-03", "2126-12-01")
    assert "has no times" in board("task", "schedule", "later", "--clear").out
    assert not {"due", "not_before"} & board("task", "show", "later", "--json").json["task"].keys()
    assert "nothing was appended" in board("task", "schedule", "later", "--due", "none").out
    assert board("task", "schedule", "later").code == 2


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ("null", "or how long from now (2h, 3 days), or none for no time."),
        ("9999-12-31", "'9999-12-31' is not a time: it is too far away."),
        ("99999999999d", "'99999999999d' is not a time: it is too far away."),
        ("in 9999 years", "'in 9999 years' is not a time: it is too far away."),
    ],
)
def test_time_that_cannot_be_read_says_what_can(board: Tt, due: str, said: str) -> None:
    """Also how a time is taken away, and whether it is one that no calendar here has."""
    assert said in " ".join(board("task", "schedule", "plain", "--due", due).err.replace("│", " ").split())


def test_number_that_is_none_is_called_so(board: Tt) -> None:
    """In words, not by the name of a type."""
    assert "'high' is not a whole number." in board("task", "prioritise", "plain", "high").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task", "create", "x"), "x created; it"),
        (("assign", "ada", "x"), "x assigned to ada; it"),
        (("backlog", "add", "x"), "x added to the backlog; it"),
    ],
)
def test_receipt_says_how_times_were_understood(board: Tt, words: tuple[str, ...], said: str) -> None:
    """Whoever gave a day in words sees which one was taken; without times nothing is said of them."""
    out = board(*words, "--alias", "x", "--due", "in 2 h", "--not-before", "2025-01-02").out
    assert f"{said} is due " in out
    assert "(in 2 h) and may begin 2025-01-02 00:00:00" in out
    assert out.endswith(" (already): x\n")
    assert "due" not in board(*words, "--alias", "y").out


def test_show_says_how_far_the_times_are(board: Tt) -> None:
    """Of what is to come, and of what is late; a time to begin that has passed is a time alone."""
    board("task", "schedule", "plain", "--due", "3 days ago", "--not-before", "in 3 days")
    shown = board("task", "show", "plain").out
    assert [line.partition("(")[2] for line in shown.splitlines() if line.startswith(("Due", "Not before"))] == [
        "3 days late)",
        "in 3 days)",
    ]
    board("task", "schedule", "plain", "--not-before", "3 days ago")
    assert next(line for line in board("task", "show", "plain").out.splitlines() if "Not before" in line)[-1] != ")"


def test_day_that_is_far_away_is_said_once(board: Tt) -> None:
    """Where a date is how far it is, nothing is added to the time; of a late one, that it is late."""
    out = board("task", "schedule", "plain", "--due", "2126-12-01 17:00", "--not-before", "2126-11-01").out
    assert (out.count("2126-12-01"), out.count("2126-11-01"), "(" in out) == (1, 1, False)
    assert "(" not in next(line for line in board("task", "show", "plain").out.splitlines() if line[:3] == "Due")
    out = board("task", "schedule", "plain", "--due", "2024-12-01 17:00", "--not-before", "none").out
    assert (out.count("2024-12-01"), out.count("(late)")) == (1, 1)


def test_day_alone_is_its_end_or_its_beginning(board: Tt) -> None:
    """Due on a day is by its end, in the user's zone; to begin on a day is from its beginning."""
    board("task", "schedule", "plain", "--due", "2126-12-01", "--not-before", "2126-12-01")
    task = board("task", "show", "plain", "--json").json["task"]
    times = [datetime.fromisoformat(task[name]).astimezone() for name in ("due", "not_before")]
    assert [f"{time:%d %H:%M:%S}" for time in times] == ["01 23:59:59", "01 00:00:00"]


def test_time_from_now_is_from_now(board: Tt) -> None:
    """`in 2 h` is two hours after the command."""
    due = datetime.fromisoformat(board("task", "show", "soon", "--json").json["task"]["due"])
    assert abs(due - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "words",
    [
        ("task", "create", "x", "--due", "whenever"),
        ("task", "create", "x", "--not-before", "HEAD~1"),
        ("task", "create", "x", "--priority", "5"),
        ("task", "prioritise", "plain", "high"),
        ("task", "prioritise", "plain", "-1"),
        ("task", "schedule", "plain", "--due", "01/02/2027"),
        ("task", "schedule", "plain", "--due", "9999-12-31"),
        ("task", "schedule", "plain", "--due", ""),
        ("task", "list", "--priority", "7"),
    ],
    ids=" ".join,
)
def test_bad_values_are_refused(board: Tt, words: tuple[str, ...]) -> None:
    """A mistake of the command line: what there is, and nothing written."""
    before = board("events", "--json").json["events"][-1]["number"]
    ran = board(*words)
    assert (ran.code, ran.out) == (2, "")
    assert board("events", "--json").json["events"][-1]["number"] == before


def test_changes_show_in_words(board: Tt, town: Path) -> None:
    """History, diff and blame name them; a creation says nothing of a priority that nobody set."""
    assert town.is_dir()
    board("task", "prioritise", "plain", "1", "--reason", "It rains")
    assert "priority: 2 → 1" in board("task", "history", "plain").out
    assert board("task", "history", "plain").out.count("priority") == 1
    assert "priority" in board("diff", "HEAD~1").out
    blamed = board("blame", "plain").out
    assert "It rains" in blamed


def test_time_at_the_end_of_the_calendar_is_set_once(board: Tt) -> None:
    """Its zone puts it into the year 10000; it is kept as the last time there is, and was appended anew each time."""
    words = ("task", "schedule", "plain", "--due", "9999-12-31T23:59:59-12:00")
    assert board(*words).code == 0
    assert "already so; nothing was appended" in board(*words).out


def test_task_that_may_begin_already_is_not_late(board: Tt) -> None:
    """Only what is due can be late; a time to begin that has passed was called so."""
    out = board("task", "schedule", "plain", "--not-before", "2025-01-02").out
    assert "may begin 2025-01-02" in out
    assert "(already)" in out
    assert "late" not in out
