"""The JSON shapes of what waits for a person. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapes import Shape, lost_shape, moment_shape, next_shape, reader_shape, task_shape

if TYPE_CHECKING:
    from ledger import RecordedEvent
    from projections import InboxPage
    from shapes.given import When
    from town import Inbox, LostTasks, Reader, Town


def inbox_shape(town: Town, reader: Reader, found: Inbox, lost: LostTasks | None, *, at: When | None) -> Shape:
    """Each kind with how many there are. `asked` says who asked a question and when; None if that cannot be read."""
    questions = [
        {"task": task_shape(task), "asked": _asked_shape(found.asked.get(task.id))} for task in found.questions.tasks
    ]
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "total": found.total,
        "questions": _page_shape(found.questions) | {"tasks": questions},
        "failed": _page_shape(found.failed) | {"tasks": [task_shape(task) for task in found.failed.tasks]},
        "reviews": _page_shape(found.reviews) | {"tasks": [task_shape(task) for task in found.reviews.tasks]},
        "lost": lost_shape(lost, running=found.running),
    }


def _page_shape(page: InboxPage) -> Shape:
    return {"total": page.total, **next_shape(limit=page.total if page.has_more else None)}


def _asked_shape(recorded: RecordedEvent | None) -> Shape | None:
    return None if recorded is None else moment_shape(recorded.position) | {"actor": recorded.actor}
