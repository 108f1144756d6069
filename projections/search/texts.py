"""The texts of a task that a search looks through, each with the event that wrote it and the one that ended it. Pure.

They follow from the task's fields before and after each event, so an event that changes a field in a new way is searched too.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ledger import (
    RecordedEvent,
    SequenceGapError,
    Task,
    TaskAssigned,
    TaskNoted,
    TaskStarted,
    evolve_known,
    title_of,
)


class Place(StrEnum):
    """What a text is in its task. The title is the first line of the description, the body is the rest of it."""

    TITLE = "title"
    ALIAS = "alias"
    TAG = "tag"
    BODY = "body"
    RESULT = "result"
    QUESTION = "question"
    ANSWER = "answer"
    NOTE = "note"
    REASON = "reason"


class Text(Struct, gc=False):
    """A text that a task has, or had until the event at the position `until`.

    `at` is the position of the event that wrote it, `actor` who did that.
    """

    place: Place
    text: str
    at: str
    actor: str
    until: str | None = None


_WITHOUT_TEXT: Final = frozenset({TaskAssigned, TaskStarted})
"""Events that change no text. They are half of a ledger, so they are told first."""


class TaskTexts:
    """A task and all texts that it ever had, in the order in which they were written, from its events.

    `number` is the number of its first event: no two tasks share one, and newer tasks have higher ones. `task` is None if it
    was removed, or never came to be.
    """

    __slots__ = ("number", "task", "texts", "version")

    def __init__(self, number: int) -> None:
        self.number = number
        self.version = 0
        self.task: Task | None = None
        self.texts: list[Text] = []

    def take(self, recorded: RecordedEvent) -> None:
        """Take in the task's next event. SequenceGapError if it is not the next one.

        An event that no command can make changes no text, and nor does a later one.
        """
        if recorded.version != self.version + 1:
            raise SequenceGapError(
                f"version of task {recorded.task}",
                recorded.position,
                expected=self.version + 1,
                found=recorded.version,
            )
        self.version = recorded.version
        before = self.task
        if before is None:
            old = _NOTHING
        elif before.damaged_at is None:
            old = before.description, before.alias, before.tags, before.result, before.question, before.answer
        else:
            # It stays as it is.
            evolve_known(before, recorded)
            return
        self.task = task = evolve_known(before, recorded)
        if recorded.reason is None and type(recorded.data) in _WITHOUT_TEXT:
            return
        if task is None:
            self._end_all(recorded, was_there=before is not None)
        elif task.damaged_at is None:
            self._compare(old, task, recorded)

    def _compare(self, old: _Fields, task: Task, recorded: RecordedEvent) -> None:
        description, alias, tags, result, question, answer = old
        pairs: list[tuple[Place, str | None, str | None]] = []
        if task.description != description:
            pairs += zip(_PARTS, _parts(description), _parts(task.description), strict=True)
        pairs.append((Place.ALIAS, alias, task.alias))
        if task.tags != tags:
            pairs += [(Place.TAG, tag, None) for tag in tags if tag not in task.tags]
            pairs += [(Place.TAG, None, tag) for tag in task.tags if tag not in tags]
        pairs.append((Place.RESULT, result, task.result))
        pairs.append((Place.QUESTION, question, task.question))
        pairs.append((Place.ANSWER, answer, task.answer))
        if type(recorded.data) is TaskNoted:
            pairs.append((Place.NOTE, None, recorded.data.text))
        pairs.append((Place.REASON, None, recorded.reason))
        for place, before, after in pairs:
            if before != after:
                self._replace(place, before, after, recorded)

    def _replace(self, place: Place, before: str | None, after: str | None, recorded: RecordedEvent) -> None:
        if before:
            present = (each for each in reversed(self.texts) if each.until is None)
            next(each for each in present if each.place is place and each.text == before).until = recorded.at
        if after:
            self.texts.append(Text(place, after, recorded.at, recorded.actor))

    def _end_all(self, recorded: RecordedEvent, *, was_there: bool) -> None:
        for text in self.texts:
            text.until = text.until or recorded.at
        if was_there and recorded.reason is not None:
            self.texts.append(Text(Place.REASON, recorded.reason, recorded.at, recorded.actor, recorded.at))


_Fields = tuple[str, str | None, tuple[str, ...], str | None, str | None, str | None]
"""Description, alias, tags, result, question, answer."""
_NOTHING: Final[_Fields] = ("", None, (), None, None, None)
_PARTS: Final = (Place.TITLE, Place.BODY)


def _parts(description: str) -> tuple[str, str]:
    """Title and body of a description."""
    if "\n" not in description:
        return description, ""
    title = title_of(description)
    return title, description.strip()[len(title) :].strip()


def texts_of(history: Iterable[RecordedEvent]) -> TaskTexts | None:
    """The texts of one task from its events, oldest first; None if there are none. SequenceGapError."""
    texts: TaskTexts | None = None
    for recorded in history:
        texts = texts or TaskTexts(recorded.position.seq)
        texts.take(recorded)
    return texts
