"""What a program is given to read: the task's description, and below it the questions that people answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ledger import RecordedEvent, Task, TaskAnswered, TaskAsked


class Answered(Struct, frozen=True):
    """A question and its answer."""

    question: str
    answer: str

    def __str__(self) -> str:
        return f"Question: {self.question}\nAnswer: {self.answer}"


def answered_in(events: Iterable[RecordedEvent]) -> list[Answered]:
    """The answered questions of a task, from its events, oldest first. A question that was replaced has no answer."""
    found: list[Answered] = []
    question: str | None = None
    for recorded in events:
        if isinstance(recorded.data, TaskAsked):
            question = recorded.data.question
        elif isinstance(recorded.data, TaskAnswered) and question is not None:
            found.append(Answered(question, recorded.data.text))
            question = None
    return found


def last_answered(task: Task) -> list[Answered]:
    """The last question of a task, if it is answered."""
    is_answered = task.question is not None and task.answer is not None
    return [Answered(task.question or "", task.answer or "")] if is_answered else []


def program_input(description: str, answered: Iterable[Answered]) -> str:
    """The description, then each question with its answer, with an empty line between them."""
    return "\n\n".join([description, *map(str, answered)])
