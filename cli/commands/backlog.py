"""The backlog: pending tasks without an agent. Like `cli.commands.tasks`, it does not import Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import reader_at, refuse_two_formats, say_created, say_moment, say_page, say_receipt, time_of
from cli.given_text import text_of
from cli.limits import PAGE_TASKS
from cli.output import say, say_json, say_table, warn
from cli.render import task_rows
from cli.session import opened
from cli.text import counted, visible
from ledger import PRIORITY_DEFAULT
from shapes import picked_shape, tasks_shape

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        AgentArgument,
        AliasOption,
        CsvOption,
        DueOption,
        ExpectOption,
        LimitOption,
        NeedsOption,
        NotBeforeOption,
        OffsetOption,
        ParentOption,
        PriorityOption,
        ReasonOption,
        TagsOption,
        TaskArgument,
        TaskJsonOption,
        TextArgument,
        TextFileOption,
        TownOption,
        WhenOption,
    )


def add(
    text: TextArgument = None,
    *,
    file: TextFileOption = None,
    tag: TagsOption = None,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="A,B", help="Several tags, separated by commas.")
    ] = None,
    parent: ParentOption = None,
    alias: AliasOption = None,
    priority: PriorityOption = PRIORITY_DEFAULT,
    due: DueOption = None,
    not_before: NotBeforeOption = None,
    needs: NeedsOption = None,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Create a task in the backlog."""
    words = text_of(text, file)
    with opened(town, actor) as opened_town:
        listed = [name for each in (tags or "").split(",") if (name := each.strip())]
        receipt = opened_town.create(
            words,
            tags=[*(tag or ()), *listed],
            parent=parent,
            alias=alias,
            priority=priority,
            due=time_of(due),
            not_before=time_of(not_before),
            needs=needs or (),
            reason=reason,
        )
        say_created(opened_town, receipt, "added to the backlog", as_json=as_json)


def list_(
    *,
    limit: LimitOption = PAGE_TASKS,
    offset: OffsetOption = 0,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
    as_csv: CsvOption = False,
) -> None:
    """List the backlog, most urgent first, then what most open tasks need, then the oldest; now or as it was.

    It has all pending tasks that nobody has, also those that cannot be begun yet: `tt ready` leaves these out.
    """
    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        page = reader.backlog(offset=offset, limit=limit)
        if not as_json:
            say_moment(reader, at, is_beside=as_csv)
        say_page(
            opened_town,
            reader,
            page,
            at=at,
            offset=offset,
            as_json=as_json,
            as_csv=as_csv,
            empty="The backlog is empty.",
        )


def claim(
    task: TaskArgument,
    agent: AgentArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Claim a task for an agent. If several claim it at once, exactly one gets it."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.claim(task, agent, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, f"claimed by {visible(agent.strip())}", as_json=as_json)


def assign_all(
    agent: AgentArgument,
    *,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Assign the whole backlog to an agent, all or nothing, but for tasks with open children: these are the work."""
    with opened(town, actor) as opened_town:
        given = opened_town.assign_all(agent, reason=reason)
        left = opened_town.count_parents_in_backlog()
        if as_json:
            say_json(picked_shape(tasks_shape(opened_town, given, left_out=left), as_json))
            return
        if left:
            warn(
                f"{counted(left, 'task')} left out: with open children, which are the work. `tt task tree` shows them."
            )
        if not given:
            say("Nothing was assigned." if left else "The backlog is empty; nothing was assigned.")
            return
        say(f"{counted(len(given), 'task')} assigned to {visible(agent.strip())}:")
        columns, rows = task_rows(given, now_ms=opened_town.time_ms())
        say_table(columns, rows, flexible="TITLE")


def remove(
    task: TaskArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Remove a pending task from the board; its history stays."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.remove(task, is_from_backlog=True, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "removed; its history stays", as_json=as_json)
