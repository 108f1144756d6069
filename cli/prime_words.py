"""The words of `tt prime`: what an agent needs to know, in a bounded number of bytes. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from cli.text import name_of, question_words, visible
from ledger import PRIORITY_DEFAULT, State, Task, format_ms

TOKENS_MAX: Final = 1_500
BYTES_PER_TOKEN: Final = 4
BYTES_MAX: Final = TOKENS_MAX * BYTES_PER_TOKEN
READY_SHOWN: Final = 10
QUESTIONS_SHOWN: Final = 5
TASKS_SHOWN: Final = 3
"""How many of the tasks that the agent has."""
_NAME_BYTES: Final = 80
_LINE_BYTES: Final = 160
_TEXT_BYTES: Final = 1_200
_COMMAND_CHARS: Final = 45
"""The longest of the commands, but for one with a long name of an agent."""


class Primed(Struct, frozen=True):
    """What an agent begins with. Counts are of all, the tasks the first of them.

    `own` has running tasks first, then those that can be begun, best first; `waiting` are the ids of the others.
    `questions` are the tasks of the town that wait for an answer, and `askers` who asked, by the id of the task, where that is
    known.
    """

    town: str
    agent: str
    own: Sequence[Task]
    own_total: int
    waiting: Collection[str]
    ready: Sequence[Task]
    has_more_ready: bool
    questions: Sequence[Task]
    questions_total: int
    askers: Mapping[str, str]


def prime_lines(primed: Primed) -> list[str]:
    """The lines, at most BYTES_MAX together. The commands come first, because an agent that reads no further needs them."""
    lines = [*_commands(primed), "", *_own(primed)]
    if primed.questions:
        lines += ["", _counted("Open questions, which people answer", primed.questions_total, len(primed.questions))]
        lines += [f"- {_task(task)}: {_asked(task)}{_by(primed, task)}" for task in primed.questions]
    lines += ["", "Ready, best first:" if primed.ready else "Nothing else is ready: tt ready --explain"]
    lines += [f"- {_task(task)}" for task in primed.ready]
    if primed.has_more_ready:
        lines.append("More: tt ready")
    return _fitting(lines)


def _commands(primed: Primed) -> list[str]:
    quoted = visible(shlex.quote(primed.agent))
    # A name that is cut would be another one.
    me = quoted if len(quoted.encode()) <= _NAME_BYTES else "NAME"
    rows = {
        f"tt next {me} --start": "take the next ready task",
        "tt task show TASK": "read a task",
        'tt task note TASK "TEXT"': "keep progress",
        'tt task create "TITLE" --needs TASK': "keep work that you find; --priority 0..4, --parent TASK",
        'tt task complete TASK --result "TEXT"': 'or: tt task fail TASK --error "TEXT"',
        'tt ask TASK "QUESTION" --choices a,b': "ask people; the task waits, take another one",
        "tt search WORDS, tt ready, tt blocked, tt log": "look around; --json for programs",
    }
    return [
        f"Tasks of the town {visible(primed.town)} are in a ledger; you are {cut_bytes(visible(primed.agent), _NAME_BYTES)}. TASK is an id, its beginning, or an alias.",
        f"Set TT_ACTOR={me}, or add --actor {me} to each command, so that the history says that it was you.",
        *(f"{command:<{_COMMAND_CHARS}}  {words}" for command, words in rows.items()),
    ]


def _own(primed: Primed) -> list[str]:
    if not primed.own:
        return ["You have no task."]
    first, *others = primed.own
    if first.id in primed.waiting:
        return [_counted("Your tasks, none ready yet", primed.own_total, len(primed.own)), *_items(primed, primed.own)]
    verb = "Your task, running" if first.state is State.RUNNING else "Your next task, not started"
    lines = [f"{verb}: {_task(first)}"]
    text = first.description.strip()
    if text != first.title:
        lines.append(cut_bytes(visible(text, is_multiline=True), _TEXT_BYTES))
    if first.answer is not None:
        lines.append(f"You asked: {_asked(first)}")
        lines.append(f"Answer: {cut_bytes(visible(first.answer), _LINE_BYTES)}")
    if others:
        lines.append(_counted("You also have", primed.own_total - 1, len(others)))
        lines += _items(primed, others)
    return lines


def _items(primed: Primed, tasks: Sequence[Task]) -> list[str]:
    return [f"- {_task(task, is_waiting=task.id in primed.waiting)}" for task in tasks]


def _by(primed: Primed, task: Task) -> str:
    asker = primed.askers.get(task.id)
    if asker is None:
        return ""
    return " (you asked)" if asker == primed.agent else f" (asked by {cut_bytes(visible(asker), _NAME_BYTES)})"


def _asked(task: Task) -> str:
    return cut_bytes(visible(question_words(task.question or "", task.choices)), _LINE_BYTES)


def _task(task: Task, *, is_waiting: bool = False) -> str:
    """`login  Fix the login  (priority 0, due 2026-12-01T00:00:00Z)`."""
    remarks = [
        *(["not ready: tt why TASK"] if is_waiting else []),
        *([] if task.priority == PRIORITY_DEFAULT else [f"priority {task.priority}"]),
        *([] if task.due_ms is None else [f"due {format_ms(task.due_ms)}"]),
        *([] if task.answer is None else ["a question about it has its answer"]),
    ]
    name = cut_bytes(name_of(task), _NAME_BYTES)
    words = f"{name}  {cut_bytes(visible(task.title), _LINE_BYTES)}"
    return f"{words}  ({', '.join(remarks)})" if remarks else words


def _counted(words: str, total: int, shown: int) -> str:
    return f"{words}:" if total <= shown else f"{words}, {shown} of {total:,}:"


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many lines as fit, and a last one where some do not."""
    last = "… tt ready shows the rest."
    room = BYTES_MAX - len(last.encode()) - 1
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            return [*kept, last]
        kept.append(line)
    return kept


def cut_bytes(text: str, bytes_max: int) -> str:
    """The text, or its beginning with an ellipsis, in that many bytes of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - len("…".encode())].decode(errors="ignore") + "…"
