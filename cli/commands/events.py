"""`tt events` and `tt replay`: the last events, new ones as they arrive, and the board at an earlier moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from msgspec.structs import replace

from cli.answers import reader_at, say_page
from cli.beside import Beside
from cli.limits import PAGE_TASKS
from cli.moments import limit_of, moment_words, say_choices, say_span, saying_choices, with_event
from cli.name_hints import say_unknown
from cli.options import (
    ActorOption,
    AgentFilter,
    BeforeOption,
    EventActorFilter,
    EventAgentFilter,
    EventTaskFilter,
    EventTextFilter,
    EventTypeFilter,
    JsonOption,
    LimitOption,
    NotTagFilter,
    OffsetOption,
    ParentFilter,
    SinceOption,
    StateFilter,
    TagFilter,
    TaskJsonOption,
    TownOption,
    UntilOption,
    When,
    parse_when,
)
from cli.output import is_unread, say, say_json, say_table, warn
from cli.render import EVENT_TEXTS, event_line, event_rows, states_line
from cli.session import opened
from cli.text import counted
from ledger import BEGINNING, RecordedEvent, flaw_in
from projections import TaskFilter
from shapes import (
    board_shape,
    events_shape,
    listed_event_shape,
    next_shape,
    picked_shape,
    understood_shape,
)
from town import EVENTS_COUNT, WHEN_HELP, EventFilter


def events(
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", "-c", metavar="N", min=1, help="Show at most the last N.")
    ] = EVENTS_COUNT,
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing events as they arrive.")] = False,
    task: EventTaskFilter = None,
    agent: EventAgentFilter = None,
    by: EventActorFilter = None,
    event_type: EventTypeFilter = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: EventTextFilter = None,
    before: BeforeOption = None,
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last events of the town, oldest first; with --follow also new ones as they arrive.

    Filters combine. More events that match are said on stderr, and --before shows them. With --json and --follow, each event is a line of its own.
    """
    if is_following and (until is not None or before is not None):
        message = "--follow never ends; leave out --until and --before."
        raise typer.BadParameter(message)
    wanted = EventFilter(agent=agent, actor=by, type=event_type, text=text)
    with opened(town, None, is_following=is_following) as opened_town:
        end = opened_town.end()
        with saying_choices(since, until, before):
            since, until, before = (with_event(opened_town, each) for each in (since, until, before))
            if task is not None:
                wanted = replace(wanted, tasks=frozenset([opened_town.events.id_of(task)]))
            page = opened_town.events.page(
                wanted,
                count=count,
                since=limit_of(since),
                until=end if until is None else until.limit,
                before=limit_of(before),
            )
        found = page.events[::-1]
        if not found and not is_following:
            say_unknown(opened_town, opened_town, agent=agent, actor=by)
        beside = Beside.of(opened_town, found)
        if is_following:
            say_span(since, None)
            _say_events(found, beside, as_json=as_json)
            for batch in opened_town.events.follow_batches(wanted, after=end):
                flaws = {each.at: flaw for each in batch if (flaw := flaw_in(each)) is not None}
                _say_events(batch, Beside.titled(opened_town, batch, flaws=flaws), as_json=as_json)
                if is_unread():
                    return
            return
        if as_json:
            understood = understood_shape(since=since, until=until, before=before)
            more = next_shape(before=page.before)
            say_json(events_shape(opened_town, found, beside, **understood, **more))
        else:
            say_span(since, until, before)
            if found:
                say_table(*event_rows(found, beside), flexible=EVENT_TEXTS)
            else:
                say("No event matches.")
        if page.before is not None:
            warn(f"The last {len(found):,}; there are older ones that match. More: --before {page.before.seq}")


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
            say_json(picked_shape(board_shape(opened_town, page.tasks, position, states, at=at), as_json))
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
        if page.total == 0:
            say_unknown(opened_town, reader, agent=agent, tags=tag)
        say_page(opened_town, reader, page, at=at, offset=offset, as_json=None, empty="No task matches.")


def _say_events(events: Sequence[RecordedEvent], beside: Beside, *, as_json: bool) -> None:
    for recorded in events:
        if as_json:
            say_json(listed_event_shape(recorded, beside))
        else:
            say(event_line(recorded, beside))
