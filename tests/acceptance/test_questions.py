"""Questions through the command line: ask, answer, inbox, and wait for an answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.terminal import on_terminal
from tests.support.tt import Tt


@pytest.fixture
def task(tt: Tt, town: Path) -> str:
    assert town.is_dir()
    return str(tt("assign", "ada", "Paint the gate\n\nAll of it", "--json").json["task"]["id"])


def test_question_and_answer_from_asking_to_done(tt: Tt, task: str) -> None:
    """Each command says in a line what is so now, and again that it was so already."""
    name = task[:8]
    asked = tt("ask", task, "Which colour?", "--choices", "red,blue", "--actor", "ada")
    assert asked.out == f"❓ {name} waits for an answer: Which colour? (1 red, 2 blue)\n"
    for look in (("task", "list"), ("tasks", "--all"), ("task", "tree"), ("task", "show", task), ("why", task)):
        assert "❓" in tt(*look).out, look
    again = tt("ask", task, "Which colour?", "--choices", "red", "--choices", "blue")
    assert "(already so; nothing was appended)" in again.out
    refused = tt("answer", task, "green")
    assert refused.code == 1
    assert f"'green' is none of the choices of task {task}: 1 red, 2 blue. " in refused.err
    assert "or other words with --other" in refused.err
    assert tt("answer", task, "2").out == f"⏳ {name} has its answer: blue\n"
    assert "❓" not in tt("task", "list").out
    late = tt("answer", task, "red")
    assert (late.code, "waits for no answer. `tt inbox` shows" in late.err) == (1, True)
    assert tt("ask", task, "And the hinges?", "--choices", "red").code == 0
    assert tt("answer", task, "No idea", "--other", "--json").json["task"]["answer"] == "No idea"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "The question is empty. Say something."),
        (("Which?", "--choices", ",".join(map(str, range(21)))), "The choices are 21. Offer at most 20"),
        (("Which?", "--choices", "a,,b"), "The choice is empty."),
    ],
)
def test_bad_question_says_what_is_wrong(tt: Tt, task: str, arguments: tuple[str, ...], words: str) -> None:
    """And nothing is written."""
    ran = tt("ask", task, *arguments)
    assert (ran.code, words in ran.err) == (1, True)
    assert tt("task", "history", task, "--json").json["total"] == 2


def test_choice_goes_before_the_number_of_another_one(tt: Tt, task: str) -> None:
    """Where choices are numbers, people mean the choice."""
    tt("ask", task, "How many?", "--choices", "2,1")
    assert tt("answer", task, "1", "--json").json["task"]["answer"] == "1"


def test_show_and_why_say_that_a_task_waits(tt: Tt, task: str) -> None:
    """In words, with the question; then with the answer."""
    tt("ask", task, "Which colour?\nOf which gate?", "--choices", "red,blue", "--actor", "ada")
    shown = tt("task", "show", task).out
    assert (
        "Question     Which colour?\n             Of which gate?\nChoices      1 red, 2 blue\nAsked        2" in shown
    )
    assert f"Answer       none yet: tt answer {task[:8]} TEXT\n" in shown
    assert "ada asked: Which colour? ⏎ Of which gate? (red, blue)" in tt("why", task).out
    assert "pending since" in tt("why", task).out
    assert "; it waits for an answer." in tt("why", task).out
    tt("answer", task, "1", "--actor", "carl")
    assert "Answer       red\n" in tt("task", "show", task).out
    why = tt("why", task).out
    assert "carl answered: red" in why
    assert "waits" not in why
    assert "answered: red" in tt("log", "--no-pager").out + tt("events").out
    assert "answer: — → red" in tt("task", "history", task).out
    assert re.search(r"answer +— → red", tt("diff", "1").out)
    assert re.search(r"answer +red\n +event \d+, .* answered by carl", tt("blame", task).out)
    assert [each["kind"] for each in tt("why", task, "--json").json["causes"]][-3:] == ["asked", "requeued", "answered"]


def test_inbox_shows_each_kind_with_what_to_do(tt: Tt, task: str) -> None:
    """Questions, failed tasks, reviews; and that nothing waits."""
    assert tt("inbox").out == "Nothing waits for you.\n"
    tt("ask", task, "Which colour?", "--choices", "red,blue", "--actor", "ada")
    failed = tt("assign", "bob", "Break it", "--json").json["task"]["id"]
    tt("task", "fail", failed, "--error", "exit status 3\nno compiler")
    review = tt("task", "create", "Look at me", "--tag", "review", "--json").json["task"]["id"]
    lines = tt("inbox").out.splitlines()
    assert lines[:2] == ["❓ 1 question", f"  {task[:8]}  Which colour? (1 red, 2 blue)"]
    assert re.fullmatch(r" {12}ada asked at \d{4}-.*, about: Paint the gate", lines[2])
    assert lines[3] == 'To answer: tt answer TASK "…", or the number of a choice'
    assert lines[5:7] == ["❌ 1 failed task", f"  {failed[:8]}  Break it"]
    assert lines[7].endswith(": exit status 3 ⏎ no compiler")
    assert lines[10:12] == ["🔍 1 task to review", f"  {review[:8]}  Look at me"]
    tt("task", "note", failed, "known")
    tt("answer", task, "1")
    tt("task", "complete", review, "--agent", "carl")
    assert tt("inbox").out == "Nothing waits for you.\n"


def test_inbox_as_json_says_whether_there_is_more(tt: Tt, task: str) -> None:
    """With who asked and when, and how to see the rest; --json=FIELDS picks fields of the tasks."""
    tt("ask", task, "Which colour?", "--actor", "ada")
    for number in range(2):
        tt("task", "create", f"Look {number}", "--tag", "review")
    found = tt("inbox", "--json", "--limit", "1").json
    assert (found["town"], found["total"], found["lost"]) == ("demo", 3, {"tasks": [], "has_more": False})
    [question] = found["questions"]["tasks"]
    assert (question["task"]["id"], question["task"]["question"]) == (task, "Which colour?")
    assert (question["asked"]["actor"], question["asked"]["number"]) == ("ada", 3)
    assert question["asked"]["time"] == question["task"]["asked_at"]
    assert (found["questions"]["total"], found["questions"]["has_more"], found["questions"]["next"]) == (1, False, None)
    assert (found["reviews"]["total"], found["reviews"]["next"]) == (2, {"limit": 2})
    assert found["failed"] == {"total": 0, "has_more": False, "next": None, "tasks": []}
    picked = tt("inbox", "--json=id,question").json
    assert picked["questions"]["tasks"][0]["task"] == {"id": task, "question": "Which colour?"}
    assert "1 of them here. All: tt inbox --limit 2" in tt("inbox", "--limit", "1").out


def test_inbox_of_a_past_moment_is_what_waited_then(tt: Tt, task: str) -> None:
    """Without advice: one answers now. Heartbeats are not known."""
    tt("ask", task, "Which colour?", "--actor", "ada")
    tt("answer", task, "red")
    past = tt("inbox", "--at", "3")
    assert "1 question" in past.out
    assert "To answer" not in past.out
    assert "Nothing waited for a person." in tt("inbox", "--at", "1").out
    shape = tt("inbox", "--at", "3", "--json").json
    assert (shape["number"], shape["questions"]["total"]) == (3, 1)
    assert tt("inbox", "--json").json["questions"]["total"] == 0


def test_wait_for_an_answer_prints_it(tt: Tt, task: str) -> None:
    """Exit code 0 with an answer; 1 without one in time, or where nobody asked."""
    none = tt("wait", task, "--until", "answered")
    assert (none.code, "1 task of 1 asked nothing, or was removed: there is no answer" in none.err) == (1, True), none
    tt("ask", task, "Which colour?")
    late = tt("wait", task, "--until", "answered", "--timeout", "0.05")
    assert late.code == 1
    assert "1 question of 1 not answered in time." in late.err
    tt("answer", task, "red")
    found = tt("wait", task, "--until", "answered")
    assert found.code == 0
    assert found.out.splitlines()[1].split() == [task[:8], "⏳", "pending", "Which", "colour?", "red"]
    assert tt("wait", task, "--until", "answered", "--json").json["tasks"][0]["task"]["answer"] == "red"


@pytest.mark.parametrize("columns", [80, 40])
def test_inbox_fits_the_terminal(tt: Tt, town: Path, task: str, columns: int) -> None:
    """No line is longer, and no word of the question is lost."""
    question = "Which of the many colours that there are shall it be, and who is going to pay for it in the end?"
    tt("ask", task, question, "--choices", "red as a rose,blue as the sea", "--actor", "ada")
    written = on_terminal(["inbox"], town, {"COLUMNS": str(columns), "NO_COLOR": "1"})
    assert all(len(line) <= columns for line in written.splitlines())
    assert " ".join(written.split()).count(question) == 1
