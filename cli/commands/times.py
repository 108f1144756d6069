"""Priority and time of a task: `tt task prioritise`, `tt task schedule`. Like `cli.commands.tasks`, it does not import Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import say_receipt
from cli.due_words import times_words
from cli.exits import UsageError
from cli.output import warn
from cli.session import opened
from town import KEEP

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        DueOption,
        ExpectOption,
        NotBeforeOption,
        PriorityArgument,
        ReasonOption,
        TaskArgument,
        TaskJsonOption,
        TownOption,
    )


def prioritise(
    task: TaskArgument,
    priority: PriorityArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Say how urgent a task is: 0 is the most urgent, 4 the least. A task that nobody rated has 2."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.prioritise(task, priority, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, f"has priority {priority}", as_json=as_json)


def schedule(
    task: TaskArgument,
    *,
    due: DueOption = None,
    not_before: NotBeforeOption = None,
    is_cleared: Annotated[bool, typer.Option("--clear", help="Take both times away, but for what is given.")] = False,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Say when a task should be done, and when it may begin at the earliest. `none` takes a time away."""
    if due is None and not_before is None and not is_cleared:
        message = "Give --due, --not-before or --clear."
        raise UsageError(message)
    kept = None if is_cleared else KEEP
    with opened(town, actor) as opened_town:
        receipt = opened_town.schedule(
            task,
            due=kept if due is None else due.time,
            not_before=kept if not_before is None else not_before.time,
            reason=reason,
            expected_version=expect,
        )
        for given in (due, not_before):
            if given is not None and given.note is not None:
                warn(given.note)
        say_receipt(opened_town, receipt, times_words(receipt.task, now_ms=opened_town.time_ms()), as_json=as_json)
