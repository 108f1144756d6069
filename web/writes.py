"""What writes: the verbs of a town, as commands on a task."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from ledger import PRIORITY_DEFAULT, PRIORITY_MAX, InvalidValueError, LinkKind
from shapes import receipt_shape
from shapes.undo import undo_shape
from town import KEEP, Receipt, TimeSyntaxError, in_local_zone, understand_ahead
from web.answers import Answer
from web.endpoints import Asked, Endpoint, Given

Priority = Annotated[int, Meta(ge=0, le=PRIORITY_MAX, description="0 is the most urgent.")]


class ReasonGiven(Given, frozen=True, kw_only=True):
    """A change, and why."""

    reason: str | None = None


class CreateGiven(ReasonGiven, frozen=True, kw_only=True):
    """A new task. Times are RFC 3339, or as `--due` takes them."""

    description: str
    agent: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    alias: str | None = None
    priority: Priority = PRIORITY_DEFAULT
    due: str | None = None
    not_before: str | None = None
    needs: tuple[str, ...] = ()


class AgentGiven(ReasonGiven, frozen=True, kw_only=True):
    """Who gets a task."""

    agent: str


class StartGiven(ReasonGiven, frozen=True, kw_only=True):
    """Who begins; None is who has the task."""

    agent: str | None = None


class CompleteGiven(ReasonGiven, frozen=True, kw_only=True):
    """The end of work on a task."""

    result: str | None = None
    agent: str | None = None


class FailGiven(ReasonGiven, frozen=True, kw_only=True):
    """The end of work that came to nothing."""

    error: str | None = None
    agent: str | None = None


class TextGiven(Given, frozen=True, kw_only=True):
    """A text."""

    text: str


class EditGiven(ReasonGiven, frozen=True, kw_only=True):
    """A new description."""

    description: str


class TagGiven(ReasonGiven, frozen=True, kw_only=True):
    """Tags to add and to remove."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class MoveGiven(ReasonGiven, frozen=True, kw_only=True):
    """Another parent; null is none."""

    parent: str | None


class PrioritiseGiven(ReasonGiven, frozen=True, kw_only=True):
    """Another priority."""

    priority: Priority


class ScheduleGiven(ReasonGiven, frozen=True, kw_only=True):
    """Times; null clears one, and one that is left out stays."""

    due: str | UnsetType | None = UNSET
    not_before: str | UnsetType | None = UNSET


class LinkGiven(ReasonGiven, frozen=True, kw_only=True):
    """Links to other tasks."""

    to: tuple[str, ...]
    kind: LinkKind = LinkKind.NEEDS


class AskGiven(ReasonGiven, frozen=True, kw_only=True):
    """A question to a person."""

    question: str
    choices: tuple[str, ...] = ()


class AnswerGiven(ReasonGiven, frozen=True, kw_only=True):
    """An answer: one of the choices, or other words if that `is_other`."""

    text: str
    is_other: bool = False


class UndoGiven(ReasonGiven, frozen=True, kw_only=True):
    """The event of the command to take back: a number, a position, or a task."""

    event: str


def create(asked: Asked, given: CreateGiven) -> Answer:
    receipt = asked.town.create(
        given.description,
        agent=given.agent,
        tags=given.tags,
        parent=given.parent,
        alias=given.alias,
        priority=given.priority,
        due=_time(given.due, is_end=True),
        not_before=_time(given.not_before, is_end=False),
        needs=given.needs,
        reason=given.reason,
    )
    shape = receipt_shape(asked.town, receipt)
    if not receipt.positions:
        return Answer(shape)
    return Answer(shape, status=201, headers={"Location": f"tasks/{receipt.task.id}"})


def schedule(asked: Asked, given: ScheduleGiven) -> Receipt:
    due, not_before = given.due, given.not_before
    return asked.town.schedule(
        asked.task,
        due=KEEP if due is UNSET else _time(due, is_end=True),
        not_before=KEEP if not_before is UNSET else _time(not_before, is_end=False),
        **_guarded(asked, given),
    )


def note(asked: Asked, given: TextGiven) -> Receipt:
    return asked.town.note(asked.task, given.text, expected_version=asked.expected_version)


def undo(asked: Asked, given: UndoGiven) -> Answer:
    receipt = asked.town.undoing.undo(given.event, reason=given.reason)
    return Answer(undo_shape(asked.town, receipt, is_preview=False))


def _guarded(asked: Asked, given: ReasonGiven) -> dict[str, Any]:
    return {"reason": given.reason, "expected_version": asked.expected_version}


def _time(text: str | None, *, is_end: bool) -> datetime | None:
    """A time to come. InvalidValueError."""
    if text is None:
        return None
    try:
        return understand_ahead(text, now=in_local_zone(datetime.now(UTC)), is_end=is_end)[0]
    except TimeSyntaxError as error:
        raise InvalidValueError("time", "is none that is to come", str(error)) from error


def _of(call: Callable[[Asked, Any], Receipt]) -> Callable[[Asked, Any], Answer]:
    return lambda asked, given: Answer(receipt_shape(asked.town, call(asked, given)))


_VERBS: Final[tuple[tuple[str, type[Given], Callable[[Asked, Any], Receipt], str], ...]] = (
    ("assign", AgentGiven, lambda a, g: a.town.assign(a.task, g.agent, **_guarded(a, g)), "Give a task to an agent."),
    ("claim", AgentGiven, lambda a, g: a.town.claim(a.task, g.agent, **_guarded(a, g)), "Take a task for an agent."),
    ("start", StartGiven, lambda a, g: a.town.start(a.task, agent=g.agent, **_guarded(a, g)), "Begin a task."),
    (
        "complete",
        CompleteGiven,
        lambda a, g: a.town.complete(a.task, result=g.result, agent=g.agent, **_guarded(a, g)),
        "Complete a task.",
    ),
    (
        "fail",
        FailGiven,
        lambda a, g: a.town.fail(a.task, error=g.error, agent=g.agent, **_guarded(a, g)),
        "Let a task fail.",
    ),
    ("cancel", ReasonGiven, lambda a, g: a.town.cancel(a.task, **_guarded(a, g)), "Cancel a task."),
    (
        "requeue",
        ReasonGiven,
        lambda a, g: a.town.requeue(a.task, **_guarded(a, g)),
        "Put a task back into the backlog.",
    ),
    ("reopen", ReasonGiven, lambda a, g: a.town.reopen(a.task, **_guarded(a, g)), "Open a finished task again."),
    ("note", TextGiven, note, "Write a note on a task."),
    ("edit", EditGiven, lambda a, g: a.town.describe(a.task, g.description, **_guarded(a, g)), "Describe a task anew."),
    ("tag", TagGiven, lambda a, g: a.town.tag(a.task, add=g.add, remove=g.remove, **_guarded(a, g)), "Change tags."),
    ("move", MoveGiven, lambda a, g: a.town.move(a.task, g.parent, **_guarded(a, g)), "Move a task below another."),
    (
        "prioritise",
        PrioritiseGiven,
        lambda a, g: a.town.prioritise(a.task, g.priority, **_guarded(a, g)),
        "Set a task's priority.",
    ),
    ("schedule", ScheduleGiven, schedule, "Set when a task is due, and when it may begin."),
    ("link", LinkGiven, lambda a, g: a.town.link(a.task, g.to, g.kind, **_guarded(a, g)), "Link a task to others."),
    ("unlink", LinkGiven, lambda a, g: a.town.unlink(a.task, g.to, g.kind, **_guarded(a, g)), "Take links away."),
    (
        "ask",
        AskGiven,
        lambda a, g: a.town.ask(a.task, g.question, choices=g.choices, **_guarded(a, g)),
        "Ask a person about a task.",
    ),
    (
        "answer",
        AnswerGiven,
        lambda a, g: a.town.answer(a.task, g.text, is_other=g.is_other, **_guarded(a, g)),
        "Answer the question of a task.",
    ),
)

WRITES: Final = (
    Endpoint("POST", "/tasks", CreateGiven, create, "Create a task.", is_writing=True, answer="Receipt"),
    *(
        Endpoint("POST", f"/tasks/{{task}}/{name}", given, _of(call), words, is_writing=True, answer="Receipt")
        for name, given, call, words in _VERBS
    ),
    Endpoint("POST", "/undo", UndoGiven, undo, "Take back a command.", is_writing=True),
)
