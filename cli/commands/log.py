"""`tt log`: what happened in a town, newest first, as an auditor reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import typer

from cli.answers import refuse_two_formats
from cli.beside import Beside
from cli.limits import LOG_EVENTS
from cli.log_lines import (
    TITLE_COLUMN,
    GroupedBy,
    count_events,
    count_rows,
    group_words,
    grouped,
    log_rows,
)
from cli.moments import limit_of, say_span, saying_choices, with_event
from cli.name_hints import say_unknown
from cli.options import (
    BeforeOption,
    CsvOption,
    EventActorFilter,
    EventAgentFilter,
    EventTaskFilter,
    EventTextFilter,
    EventTypeFilter,
    JsonOption,
    SinceOption,
    TownOption,
    UntilOption,
)
from cli.output import say, say_hanging, say_json, say_table, warn
from cli.pager import paged
from cli.session import opened
from cli.styled import Styled
from cli.text import counted
from ledger import RecordedEvent
from shapes import Shape, events_shape, next_shape, understood_shape
from shapes.log import counts_shape
from town import EventFilter, EventPage, Town, zone_name


def log(
    *,
    by_actor: EventActorFilter = None,
    agent: EventAgentFilter = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only events of tasks that have this tag now.")
    ] = None,
    task: EventTaskFilter = None,
    below: Annotated[
        str | None,
        typer.Option("--below", metavar="TASK", help="Only events of this task and of all tasks below it now."),
    ] = None,
    event_type: EventTypeFilter = None,
    text: EventTextFilter = None,
    since: SinceOption = None,
    until: UntilOption = None,
    before: BeforeOption = None,
    by: Annotated[GroupedBy | None, typer.Option("--by", help="Show the events in groups.")] = None,
    stat: Annotated[
        bool, typer.Option("--stat", help="Show how many events match, of each type or in each group of --by.")
    ] = False,
    count: Annotated[
        int, typer.Option("--count", "--limit", "-n", metavar="N", min=1, help="Show at most N events, or N counts.")
    ] = LOG_EVENTS,
    is_paged: Annotated[
        bool, typer.Option("--pager/--no-pager", help="On a terminal, use $TT_PAGER, $PAGER or less.")
    ] = True,
    town: TownOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show what happened, newest first: who did what with which task, and why. Filters combine.

    If more events match, stderr says so, and --before shows them. With --json and --csv, --stat prints all counts.
    """
    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    with opened(town, None) as opened_town:
        with saying_choices(since, until, before):
            since, until, before = (with_event(opened_town, each) for each in (since, until, before))
            wanted = EventFilter(
                agent=agent,
                actor=by_actor,
                type=event_type,
                text=text,
                tasks=_tasks_of(opened_town, task=task, below=below, tag=tag),
            )
            found = opened_town.events.search(
                wanted, since=limit_of(since), until=limit_of(until), before=limit_of(before)
            )
        how = _How(
            understood_shape(since=since, until=until, before=before),
            by,
            count,
            is_paged,
            as_json=as_json,
            as_csv=as_csv,
        )
        if not as_json:
            say_span(since, until, before)
        if stat:
            is_found = _say_counts(opened_town, found, how)
        else:
            page = EventPage.of(found, count)
            is_found = bool(page.events)
            _say_page(opened_town, page, how)
        if not is_found:
            say_unknown(opened_town, opened_town, agent=agent, actor=by_actor, tags=[tag] if tag else [])


class _How(NamedTuple):
    """How an answer is shown, and how its moments were understood."""

    understood: Shape
    by: GroupedBy | None
    limit: int
    is_paged: bool
    as_json: bool
    as_csv: bool


def _say_page(town: Town, page: EventPage, how: _How) -> None:
    beside = Beside.of(town, page.events)
    if how.as_json:
        more = next_shape(before=page.before)
        say_json(events_shape(town, page.events, beside, **how.understood, **more))
    elif how.as_csv:
        from cli.log_csv import say_log_csv  # noqa: PLC0415 - few ask for it

        say_log_csv(page.events, beside)
    else:
        with paged(is_wanted=how.is_paged):
            _say_events(page.events, beside, how.by)
    if page.before is not None:
        warn(f"{counted(len(page.events), 'event')} shown; there are older ones. More: --before {page.before.seq}")


def _say_counts(town: Town, events: Iterable[RecordedEvent], how: _How) -> bool:
    """Say how many there are in all, and in the first groups; a program gets all groups. Whether there are some."""
    whole, groups = count_events(events, how.by)
    names = list(groups) if how.as_json or how.as_csv else list(groups)[: how.limit]
    titles = town.titles(names) if how.by is GroupedBy.TASK else {}
    if how.as_json:
        say_json(counts_shape(town, whole, groups, titles, by=how.by, **how.understood))
        return whole.events > 0
    if how.as_csv:
        from cli.log_csv import say_counts_csv  # noqa: PLC0415 - as above

        say_counts_csv(groups, how.by, titles)
        return whole.events > 0
    say(f"{counted(whole.events, 'event')} of {counted(len(whole.tasks), 'task')}")
    if groups:
        zone = zone_name([town.end().time])
        columns, rows = count_rows({name: groups[name] for name in names}, how.by, titles, zone=zone)
        with paged(is_wanted=how.is_paged):
            say()
            say_table(columns, rows, flexible=columns[-1])
    if len(groups) > how.limit:
        warn(f"{how.limit:,} of {len(groups):,} groups shown. More: --count {how.limit * 10}")
    return whole.events > 0


def _say_events(events: Sequence[RecordedEvent], beside: Beside, by: GroupedBy | None) -> None:
    if not events:
        say("No event matches.")
    elif by is None:
        say_table(*log_rows(events, beside), flexible=TITLE_COLUMN, is_wrapped=True)
    else:
        for number, (group, members) in enumerate(grouped(events, by).items()):
            if number:
                say()
            heading = (group_words(group, by, beside.titles), "bold")
            say_hanging("", Styled.assemble(heading, f"  {len(members):,}"))
            say_table(*log_rows(members, beside, by=by), flexible=TITLE_COLUMN, is_wrapped=True)


def _tasks_of(town: Town, *, task: str | None, below: str | None, tag: str | None) -> frozenset[str] | None:
    """The ids of the tasks that all of these conditions select; None if none is given. TaskNotFoundError."""
    sets = [
        *([] if task is None else [frozenset([town.events.id_of(task)])]),
        *([] if below is None else [town.ids_below(below)]),
        *([] if tag is None else [town.ids_tagged(tag)]),
    ]
    return frozenset.intersection(*sets) if sets else None
