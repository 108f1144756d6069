"""What a program is given to read: the description, and the answered questions."""

from __future__ import annotations

from ledger import TaskAnswered, TaskAsked, TaskCreated, TaskNoted, TaskRequeued
from tests.support.builders import a_task, recorded
from town.agents.program_input import Answered, answered_in, last_answered, program_input


def test_answered_questions_are_those_with_an_answer_of_their_own() -> None:
    """In their order; one that was replaced before anybody answered is left out."""
    events = recorded(
        [
            TaskCreated("a"),
            TaskAsked("Which?", ("red", "blue")),
            TaskRequeued(),
            TaskAnswered("red"),
            TaskNoted("n"),
            TaskAsked("Replaced?"),
            TaskAsked("When?"),
            TaskAnswered("soon"),
            TaskAsked("Open?"),
        ]
    )
    assert answered_in(events) == [Answered("Which?", "red"), Answered("When?", "soon")]
    assert answered_in(events[:3]) == []


def test_task_itself_has_its_last_answer() -> None:
    """None where the question is open, or where there was none."""
    assert last_answered(a_task(question="Which?", answer="red")) == [Answered("Which?", "red")]
    assert last_answered(a_task(question="Which?")) == last_answered(a_task()) == []


def test_given_text_without_answers_is_the_description() -> None:
    """To the byte; with some, each stands below an empty line."""
    assert program_input("a\n", []) == "a\n"
    assert program_input("a", [Answered("Which?", "red\nor blue")]) == "a\n\nQuestion: Which?\nAnswer: red\nor blue"
