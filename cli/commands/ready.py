"""What can be worked on, what blocks the rest, and the next task for an agent.

Agents call these all day, so nothing here imports Typer: `cli.tree` resolves the type hints when Typer needs them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cli.answers import reader_at, say_moment, say_receipt
from cli.exits import Exit
from cli.limits import BLOCKED_TASKS, BLOCKS_SHOWN, READY_TASKS
from cli.name_hints import say_unknown
from cli.output import say, say_json, say_table, warn
from cli.session import opened
from cli.text import counted, visible
from shapes import picked_shape

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        AgentArgument,
        LimitOption,
        OffsetOption,
        ReasonOption,
        TagFilter,
        TaskJsonOption,
        TownOption,
        WhenOption,
    )


def ready(
    *,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="NAME", help="What `tt next NAME` would take: its own tasks first."),
    ] = None,
    tag: TagFilter = None,
    limit: LimitOption = READY_TASKS,
    offset: OffsetOption = 0,
    is_explained: Annotated[
        bool, typer.Option("--explain", help="Say why each comes where it does, and why the others are not ready.")
    ] = False,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """List the tasks that can be begun now: by priority, then those that most open tasks need, then the oldest.

    A task is ready if nobody has it, all that it needs is completed, it waits for no answer and no time, the tasks above it do not either, and no task right below it is open.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        page = reader.ready(agent=agent, tags=tag or (), limit=limit, offset=offset)
        shown = page.tasks
        after = offset + len(shown) if page.has_more else None
        dependents = reader.dependents(shown) if is_explained else None
        waiting = reader.waiting() if is_explained else None
        if not shown and not offset:
            say_unknown(opened_town, reader, agent=agent, tags=tag or ())
        if as_json:
            from shapes.ready import ready_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(
                picked_shape(
                    ready_shape(
                        opened_town,
                        reader,
                        shown,
                        at=at,
                        offset=offset,
                        after=after,
                        dependents=dependents,
                        waiting=waiting,
                    ),
                    as_json,
                )
            )
        else:
            from cli.ready_lines import ready_rows, say_waiting  # noqa: PLC0415 - only people read them

            say_moment(reader, at)
            then_ms = reader.time_ms()
            if shown:
                columns, rows = ready_rows(shown, now_ms=then_ms, dependents=dependents)
                # Why is to be read whole.
                say_table(columns, rows, flexible=("TITLE", "WHY"), is_wrapped=is_explained)
            else:
                say(_none_ready(offset=offset, is_past=reader.then is not None, is_explained=is_explained))
            if waiting is not None:
                say_waiting(waiting, is_past=reader.then is not None, is_any_ready=bool(shown))
        if after is not None:
            warn(f"{after:,} shown, and there are more. More: --offset {after}")


def _none_ready(*, offset: int, is_past: bool, is_explained: bool) -> str:
    if offset:
        return f"None after the first {offset:,}."
    words = "Nothing was ready." if is_past else "Nothing is ready."
    return words if is_past or is_explained else f"{words} `tt ready --explain` says why."


def blocked(
    *,
    limit: LimitOption = BLOCKED_TASKS,
    offset: OffsetOption = 0,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """List the open tasks that are blocked: by what, since when, and how many tasks in a row come before; the longest chain first.

    A task is blocked by a task that it needs and that is not completed, or by a question without an answer, its own or one of a task above it. A failed, cancelled or removed task keeps blocking.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        found = reader.blocked()
        shown = found[offset : offset + limit]
        since = reader.since(shown, blocks_max=BLOCKS_SHOWN)
        after = offset + len(shown) if len(found) > offset + len(shown) else None
        if as_json:
            from shapes.ready import blocked_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(
                picked_shape(
                    blocked_shape(
                        opened_town,
                        reader,
                        shown,
                        since,
                        blocks_max=BLOCKS_SHOWN,
                        at=at,
                        offset=offset,
                        after=after,
                        total=len(found),
                    ),
                    as_json,
                )
            )
        else:
            from cli.beside import names_of_removed  # noqa: PLC0415 - only people read them
            from cli.ready_lines import removed_blockers, say_blocked  # noqa: PLC0415 - as above

            say_moment(reader, at)
            say_blocked(shown, since, names_of_removed(opened_town, removed_blockers(shown)))
            if not shown:
                verb = "is" if reader.then is None else "was"
                say(
                    f"None after the first {offset:,}; {counted(len(found), 'task')} in all."
                    if found
                    else f"Nothing {verb} blocked."
                )
        if after is not None:
            warn(f"{after:,} of {counted(len(found), 'task')} shown. More: --offset {after}")


def critical_path(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK", help="The chain that ends with this task. Default: the longest.", show_default=False
        ),
    ] = None,
    *,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show the longest chain of open tasks that wait for each other, in working order: the first to do comes first.

    A task that others need is done after those below it, so they come before it. If a task that failed, was cancelled or was removed is before all of them, it is named, because it keeps blocking.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        last = None if task is None else reader.task(task)
        chain = reader.critical_path(last)
        if as_json:
            from shapes.ready import chain_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(picked_shape(chain_shape(opened_town, reader, chain, at=at), as_json))
            return
        from cli.beside import names_of_removed  # noqa: PLC0415 - only people read them
        from cli.ready_lines import say_chain  # noqa: PLC0415 - as above

        say_moment(reader, at)
        removed = [] if chain.kept_by is None or chain.kept_by[1] is not None else [chain.kept_by[0]]
        say_chain(chain, last, names_of_removed(opened_town, removed), is_past=reader.then is not None)


def next_(
    agent: AgentArgument,
    *,
    is_started: Annotated[bool, typer.Option("--start", help="Start it, too.")] = False,
    tag: TagFilter = None,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Take the first ready task for an agent: one that is assigned to it, else the first of the backlog that can be begun.

    Of many agents that ask at once, each gets another task. If nothing is ready, it ends with code 1 and says on stderr what waits.
    """
    with opened(town, actor) as opened_town:
        receipt = opened_town.take_next(agent, tags=tag or (), is_started=is_started, reason=reason)
        if receipt is not None:
            if as_json:
                from shapes.ready import next_task_shape  # noqa: PLC0415 - only JSON is made with it

                say_json(picked_shape(next_task_shape(opened_town, receipt), as_json))
            else:
                verb = "started by" if is_started else "taken by"
                say_receipt(opened_town, receipt, f"{verb} {visible(agent.strip())}", as_json=None)
            return
        waiting = opened_town.waiting_briefly(tag or ())
        say_unknown(opened_town, opened_town, tags=tag or ())
        if as_json:
            from shapes.ready import none_next_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(none_next_shape(opened_town, waiting))
        from cli.ready_lines import nothing_words  # noqa: PLC0415 - only where nothing is ready

        warn(nothing_words(waiting, agent.strip()))
        sys.exit(Exit.REFUSED)
