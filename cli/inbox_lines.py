"""How `tt inbox` is shown to people: a section for each kind of what waits, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli.lost_lines import TAKE_BACK
from cli.output import say, say_apart, say_hanging
from cli.styled import Styled
from cli.text import (
    ASKING,
    TITLE_CHARS_SHOWN,
    counted,
    duration,
    name_of,
    question_words,
    short_title,
    shortened,
    visible,
)
from ledger import Position, Task, from_ms
from town import local_time

if TYPE_CHECKING:
    from projections import InboxPage
    from town import Inbox, LostTask, LostTasks

QUESTION_CHARS_SHOWN: Final = 2_000
"""How much of a question is shown; `tt task show` has all of it."""


class Section(Struct, frozen=True):
    """One kind: its heading, for each task its name, what it is about and what stands below that, and what to do."""

    heading: str
    lines: list[tuple[str, str, str]]
    advice: str


def say_inbox(found: Inbox, lost: LostTasks | None, *, then: Position | None) -> None:
    """Print what waits; `then` is the moment, None is now."""
    sections = list(_sections(found, lost, then))
    for number, section in enumerate(sections):
        (say_apart if number else say)(Styled.of(section.heading, "bold"))
        for name, words, below in section.lines:
            head = f"  {name}  "
            say_hanging(head, words)
            say_hanging(" " * len(head), Styled.of(below, "dim"))
        if then is None:
            say_hanging("", section.advice)
    if not sections:
        say("Nothing waits for you." if then is None else "Nothing waited for a person.")


def _sections(found: Inbox, lost: LostTasks | None, then: Position | None) -> Iterator[Section]:
    at = "" if then is None else f" --at {then.seq}"
    if found.questions.total:
        yield Section(
            f"{ASKING} {counted(found.questions.total, 'question')}{_more(found.questions, at)}",
            [_question(found, task) for task in found.questions.tasks],
            'To answer: tt answer TASK "…", or the number of a choice',
        )
    if found.failed.total:
        yield Section(
            f"❌ {counted(found.failed.total, 'failed task')}{_more(found.failed, at)}",
            [_failed(task) for task in found.failed.tasks],
            'To try again: tt task reopen TASK. To leave it so: tt task note TASK "…"',
        )
    if found.reviews.total:
        yield Section(
            f"🔍 {counted(found.reviews.total, 'task')} to review{_more(found.reviews, at)}",
            [_review(task) for task in found.reviews.tasks],
            "Reviewed: tt task tag TASK --remove review, or tt task complete TASK",
        )
    if lost is not None and lost.tasks:
        at_least = "at least " if lost.has_more else ""
        yield Section(
            f"⚠️  {at_least}{counted(len(lost.tasks), 'running task')} without a runner",
            [_lost(each) for each in lost.tasks],
            f"To take back: {TAKE_BACK}",
        )


def _more(page: InboxPage, at: str) -> str:
    return f", {len(page.tasks):,} of them here. All: tt inbox --limit {page.total}{at}" if page.has_more else ""


def _question(found: Inbox, task: Task) -> tuple[str, str, str]:
    asked = found.asked.get(task.id)
    who = "" if asked is None else f"{visible(asked.actor)} asked "
    since = "" if task.asked_at_ms is None else f"at {local_time(from_ms(task.asked_at_ms))}, "
    words = question_words(shortened(task.question or "", QUESTION_CHARS_SHOWN), task.choices)
    return name_of(task), visible(words), f"{who}{since}about: {short_title(task)}"


def _failed(task: Task) -> tuple[str, str, str]:
    who = "" if task.assigned_to is None else f"{visible(task.assigned_to)}, "
    ended = "" if task.completed_at is None else local_time(task.completed_at)
    error = "" if task.result is None else f": {shortened(visible(task.result), TITLE_CHARS_SHOWN)}"
    return name_of(task), short_title(task), f"{who}{ended}{error}"


def _review(task: Task) -> tuple[str, str, str]:
    who = "" if task.assigned_to is None else f", {visible(task.assigned_to)}"
    return name_of(task), short_title(task), f"{task.state}{who}, made {local_time(task.created_at)}"


def _lost(lost: LostTask) -> tuple[str, str, str]:
    runner = f"{visible(lost.mark.host)}, process {lost.mark.process}, started {duration(lost.age_ms)} ago"
    return name_of(lost.task), short_title(lost.task), f"{visible(lost.task.assigned_to or '')}, {runner}"
