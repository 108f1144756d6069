"""`tt stats`: what happened in a period, for people, spreadsheets and programs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.answers import reader_at, refuse_two_formats, say_moment
from cli.moments import limit_of, say_span, saying_choices, with_event
from cli.name_hints import say_unknown
from cli.options import ActorOption, JsonOption, TownOption, UntilOption, When, WhenOption, parse_when
from cli.output import say, say_json, say_table, terminal_columns, warn
from cli.session import opened
from cli.stats_rows import (
    AGENTS_SHOWN_MAX,
    BAR_DAYS_MAX,
    count_rows,
    csv_columns,
    csv_row,
    day_bars,
    group_blocks,
    group_table,
    more_line,
    period_lines,
    time_rows,
)
from cli.text import counted
from shapes import reader_shape, understood_shape
from shapes.stats import stats_shape
from town import AGENT, DAY, PERIOD_DAYS, TAG, WHEN_HELP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from town import Group, Grouping, Report

_OF_THE_VIEW: Final = (DAY, AGENT)
_SUMMARY: Final[tuple[Grouping, ...]] = ((AGENT,), (DAY,))


class By(StrEnum):
    """What there is a row for each of."""

    DAY = DAY
    AGENT = AGENT
    TAG = TAG
    DAY_AND_AGENT = f"{DAY},{AGENT}"

    @property
    def grouping(self) -> Grouping:
        return tuple(self.split(","))


def stats(
    *,
    by: Annotated[
        By | None,
        typer.Option("--by", metavar="GROUP", help=f"Only a row for each: {', '.join(By)}."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only what belongs to this agent.")
    ] = None,
    since: Annotated[
        When | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            parser=parse_when,
            help=f"From this moment on: {WHEN_HELP}. Default: the last {PERIOD_DAYS} days with events.",
        ),
    ] = None,
    until: UntilOption = None,
    at: WhenOption = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print only CSV on stdout; without --by, by day and agent.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was created, completed, failed and is open, how long it took, and a row for each agent and day.

    Lead time is from a task's creation to its end, wait to its first start, and work from its last start to its end;
    a reopened task begins anew. A created task counts for the actor who created it, anything else for the agent who had it.
    """
    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    grouping = None if by is None else by.grouping
    groupings = (grouping,) if grouping is not None else (_OF_THE_VIEW,) if as_csv else _SUMMARY
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        with saying_choices(since, until):
            since, until = with_event(opened_town, since), with_event(opened_town, until)
            first, last = limit_of(since), limit_of(until)
            report = reader.report(
                agent=agent,
                since=first,
                until=last,
                groupings=groupings,
                has_all=by is None and since is None and not as_csv,
                is_utc=as_json,
            )
        if report.is_empty:
            say_unknown(opened_town, reader, agent=agent)
        is_cut = since is None and report.period.earlier > 0
        if as_json:
            is_of_view = grouping in (None, _OF_THE_VIEW)
            rows = reader.stats(agent=agent, since=first, until=last) if is_of_view else None
            moments = reader_shape(reader, at) | understood_shape(at=at, since=since, until=until)
            say_json(stats_shape(opened_town, report, days=rows, has_more=is_cut, **moments))
        else:
            say_span(since, until)
            if as_csv:
                _say_csv(report, groupings[0])
            else:
                say_moment(reader, at)
                _say_report(report, grouping)
    if is_cut:
        warn(more_line(report.period))


def _say_report(report: Report, grouping: Grouping | None) -> None:
    """The rows of `grouping`, or without one the summary, a row for each agent, and a bar for each day."""
    if report.is_empty:
        say("Nothing was created, completed or failed in that time.")
        return
    for line in period_lines(report):
        say(line)
    say()
    if grouping is None:
        _say_summary(report)
    else:
        _say_groups(report, grouping, report.groups[grouping])


def _say_summary(report: Report) -> None:
    say_table(*count_rows(report))
    say()
    say_table(*time_rows(report.total))
    agents = report.groups[(AGENT,)]
    if agents:
        say()
        _say_groups(report, (AGENT,), agents[:AGENTS_SHOWN_MAX])
        if len(agents) > AGENTS_SHOWN_MAX:
            warn(f"{counted(len(agents) - AGENTS_SHOWN_MAX, 'more agent')}. All: --by agent")
    say()
    bars = day_bars(report, report.groups[(DAY,)], room=terminal_columns())
    say_table(bars.columns, bars.rows)
    if len(report.days) > BAR_DAYS_MAX:
        warn(f"The last {BAR_DAYS_MAX} of {counted(len(report.days), 'day')}. All: --by day")


def _say_groups(report: Report, grouping: Grouping, groups: Sequence[Group]) -> None:
    """The rows, as a table if the terminal is wide enough for one."""
    room = terminal_columns()
    table = group_table(report, grouping, groups, room=room)
    if table is None:
        assert room is not None, "a pipe has room for any table"
        for line in group_blocks(report, grouping, groups, room=room):
            say(line)
        return
    say_table(table.columns, table.rows)
    if not table.has_p90:
        warn("90th percentiles need a wider terminal, or --csv.")


def _say_csv(report: Report, grouping: Grouping) -> None:
    from cli.csv_table import say_csv  # noqa: PLC0415 - few ask for it

    say_csv(csv_columns(grouping), (csv_row(report, grouping, group) for group in report.groups[grouping]))
