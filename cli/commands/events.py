"""`tt events` and `tt replay`: the last events, new ones as they arrive, and the board at an earlier moment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import typer

from cli.answers import reader_at, say_page
from cli.limits import PAGE_TASKS
from cli.moments import moment_words, say_choices, say_span, saying_choices, with_event
from cli.options import (
    ActorOption,
    AgentFilter,
    JsonOption,
    LimitOption,
    NotTagFilter,
    OffsetOption,
    ParentFilter,
    StateFilter,
    TagFilter,
    TaskJsonOption,
    TownOption,
    When,
    parse_event_type,
    parse_when,
)
from cli.output import is_unread, say, say_json, say_table, warn
from cli.render import event_line, event_rows, states_line
from cli.session import opened
from cli.shapes import event_shape, events_shape, moment_shape, picked_shape, tasks_shape, understood_shape
from cli.text import counted
from ledger import BEGINNING, RecordedEvent, flaw_in
from projections import TaskFilter
from town import EVENTS_COUNT, WHEN_HELP, Annotation, EventFilter


def events(
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", "-c", metavar="N", min=1, help="Show at most the last N.")
    ] = EVENTS_COUNT,
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing events as they arrive.")] = False,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="Only events of this task, which may be removed.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="NAME", help="Only events of tasks that this agent had at that moment."),
    ] = None,
    by: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only events of this actor.")] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="T",
            parser=parse_event_type,
            help="Only events of this type: task.completed or completed.",
        ),
    ] = None,
    since: Annotated[
        When | None,
        typer.Option("--since", metavar="WHEN", parser=parse_when, help=f"From this moment on: {WHEN_HELP}."),
    ] = None,
    until: Annotated[
        When | None, typer.Option("--until", metavar="WHEN", parser=parse_when, help="Up to this moment.")
    ] = None,
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last events of the town, oldest first; with --follow also new ones as they arrive.

    Filters combine. With --json and --follow, each event is a line of its own.
    """
    if is_following and until is not None:
        message = "--follow never ends; leave out --until."
        raise typer.BadParameter(message)
    wanted = EventFilter(agent=agent, actor=by, type=event_type)
    with opened(town, None, is_following=is_following) as opened_town:
        end = opened_town.end()
        with saying_choices(since, until):
            since, until = with_event(opened_town, since), with_event(opened_town, until)
            first = None if since is None else since.limit
            last = end if until is None else until.limit
            found = opened_town.events.last(wanted, count=count + 1, task_id=task, since=first, until=last)
        has_more, found = len(found) > count, found[-count:]
        flaws, notes = opened_town.find_flaws(found), opened_town.annotations(found)
        if is_following:
            say_span(since, None)
            for batch in chain([found], opened_town.events.follow_batches(wanted, task_id=task, after=end)):
                for recorded in batch:
                    flaw = flaws.get(recorded.at, flaw_in(recorded))
                    _say_event(recorded, flaw, notes.get(recorded.at, ()), as_json=as_json)
                if is_unread():
                    return
        elif as_json:
            say_json(events_shape(opened_town, found, flaws, notes, **understood_shape(since=since, until=until)))
        elif found:
            say_span(since, until)
            say_table(*event_rows(found, flaws, notes), flexible="WHAT")
            if has_more:
                warn(f"The last {count:,}; there are older ones that match. More: --count {count * 10}")
        else:
            say_span(since, until)
            say("No event matches.")


def replay(
    *,
    at: Annotated[When, typer.Option("--at", metavar="WHEN", parser=parse_when, help=f"The moment: {WHEN_HELP}.")],
    state: StateFilter = None,
    agent: AgentFilter = None,
    tag: TagFilter = None,
    not_tag: NotTagFilter = None,
    parent: ParentFilter = None,
    limit: LimitOption = PAGE_TASKS,
    offset: OffsetOption = 0,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show the board as it was at an earlier moment; nothing is written.

    With --json the whole board is printed, whatever --limit and --offset say.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        position = opened_town.end() if reader.then is None else reader.then
        states = reader.count_states()
        wanted = TaskFilter(
            state=tuple(state or ()) or None,
            agent=agent,
            tag=tuple(tag or ()) or None,
            not_tag=tuple(not_tag or ()) or None,
            parent=parent,
        )
        if as_json:
            # A program gets the whole board.
            page = reader.page(wanted)
            moment = {**moment_shape(position), **understood_shape(at=at)}
            say_json(picked_shape(tasks_shape(opened_town, page.tasks, **moment, states=states), as_json))
            return
        if position == BEGINNING:
            warn("The ledger has no events yet.")
            return
        tasks = counted(sum(states.values()), "task")
        say(f"The board {moment_words(at, position)}: {tasks}")
        say_choices(at)
        say(states_line(states))
        say()
        page = reader.page(wanted, offset=offset, limit=limit)
        say_page(opened_town, reader, page, at=at, offset=offset, as_json=None, empty="No task matches.")


def _say_event(recorded: RecordedEvent, flaw: str | None, notes: Sequence[Annotation], *, as_json: bool) -> None:
    if as_json:
        say_json(event_shape(recorded, flaw, notes))
    else:
        say(event_line(recorded, flaw, notes))
