"""Questions to people: ask, answer, and the inbox of what waits for a person.

Agents ask all day, so nothing here imports Typer: `cli.tree` resolves the type hints when Typer needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import reader_at, say_moment, say_receipt
from cli.given_text import text_of
from cli.limits import INBOX_TASKS
from cli.output import say_json
from cli.session import opened
from cli.text import question_words
from shapes import picked_shape

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        ExpectOption,
        ReasonOption,
        TaskArgument,
        TaskJsonOption,
        TownOption,
        WhenOption,
    )


def ask(
    task: TaskArgument,
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION", help="What people should answer; - reads it from stdin.", show_default=False
        ),
    ],
    *,
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--choices",
            metavar="A,B",
            help="Answers to choose from, with commas between them; at most 20. May be repeated.",
        ),
    ] = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Ask people a question about a task. The task goes back to the backlog, and waits there for the answer.

    A program of `tt work` that asks about its own task ends its run; a later run gets the answer.
    """
    words = text_of(question)
    offered = [choice for each in choices or () for choice in each.split(",")]
    with opened(town, actor) as opened_town:
        receipt = opened_town.ask(task, words, choices=offered, reason=reason, expected_version=expect)
        about = question_words(receipt.task.question or "", receipt.task.choices)
        say_receipt(opened_town, receipt, "waits for an answer", about=about, as_json=as_json)


def answer(
    task: TaskArgument,
    text: Annotated[
        str,
        typer.Argument(
            metavar="ANSWER",
            help="The answer. If there are choices, one of them, or its number from 1 on; - reads it from stdin.",
            show_default=False,
        ),
    ],
    *,
    is_other: Annotated[bool, typer.Option("--other", help="Answer in other words than the choices.")] = False,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Answer the question that a task waits with. Then the task can be worked on again."""
    words = text_of(text)
    with opened(town, actor) as opened_town:
        receipt = opened_town.answer(task, words, is_other=is_other, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "has its answer", about=receipt.task.answer, as_json=as_json)


def inbox(
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Show at most N tasks of each kind.")
    ] = INBOX_TASKS,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show what waits for a person: questions, failed tasks that nobody dealt with, tasks to review, and lost runners.

    A failed task is dealt with once something happens to it: it is opened again, removed, noted on, or tagged. An open task with the tag `review` is to be reviewed.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        found = reader.inbox(limit=limit)
        lost = reader.lost_tasks() if found.running else None
        if as_json:
            from shapes.questions import inbox_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(picked_shape(inbox_shape(opened_town, reader, found, lost, at=at), as_json))
            return
        from cli.inbox_lines import say_inbox  # noqa: PLC0415 - only people read it

        say_moment(reader, at)
        say_inbox(found, lost, then=reader.then)
