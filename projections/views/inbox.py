"""What waits for a person: questions, failed tasks that nobody dealt with, and reviews."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import State, Task, ms_of
from projections.views.view import Ranked, View

QUESTION: Final = "question"
FAILED: Final = "failed"
REVIEW: Final = "review"
REVIEW_TAG: Final = "review"
"""The tag that asks people to look at an open task."""


class Inbox(View):
    """Tasks with an open question, by when it was asked; failed tasks without a later event, by when they failed; and open
    tasks with the tag `review`, by when they were created.
    """

    name: ClassVar[str] = "inbox"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset(
        {"state", "tags", "at", "created_at_ms", "completed_at_ms", "question", "answer", "asked_at_ms", "damaged_at"}
    )

    def entries(self, task: Task) -> list[Ranked]:
        entries: list[Ranked] = []
        if task.state is State.FAILED:
            if is_untouched(task):
                entries.append(Ranked(FAILED, task.completed_at_ms))
        elif not task.state.is_terminal:
            if task.has_open_question and task.damaged_at is None:
                entries.append(Ranked(QUESTION, task.asked_at_ms))
            if REVIEW_TAG in task.tags:
                entries.append(Ranked(REVIEW, task.created_at_ms))
        return entries


def is_untouched(task: Task) -> bool:
    """Whether a failed task had no event since it failed: no note, no tag, nothing that shows that somebody dealt with it."""
    return task.completed_at_ms is not None and ms_of(task.at) == task.completed_at_ms
