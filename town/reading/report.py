"""Report: what happened in a period of a town, in all and in groups, and how much is open at the period's end.

The period is what was asked for, or the last PERIOD_DAYS days with events. It is counted from the period's own events, so a
short period of a large town is short work. `projections.activity` says what is counted and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import BEGINNING, TIME_MS_MAX, EventStore, Position, State, from_ms, to_ms
from projections import NO_FIGURES, Activity, DayStats, Figures, count_activity
from town.reading.hierarchy import OPEN_STATES
from town.reading.local_zone import local_day, placed, zone_name

if TYPE_CHECKING:
    from town.reading.event_reader import EventReader
    from town.reading.moment import Moment

PERIOD_DAYS: Final = 30
"""How many days a report has if nobody says since when, the day of the last event included."""
DAY: Final = "day"
AGENT: Final = "agent"
TAG: Final = "tag"
Grouping = tuple[str, ...]
"""By what events are told apart: DAY, AGENT, TAG, or DAY and AGENT, in this order."""
_MINUTE_MS: Final = 60_000


class Period(Struct, frozen=True, kw_only=True):
    """From which event to which a report goes; `first` is BEGINNING if there is none, and `last` is where it would end.

    `since` is the moment asked for, or that of the first event if the ledger begins later. `earlier` and `later` are how many
    events there are before and after the period, up to the moment that the reader shows.
    """

    first: Position
    last: Position
    since: datetime
    earlier: int
    later: int
    zone: str
    """What the zone of its days is called."""

    @property
    def events(self) -> int:
        return 0 if self.first == BEGINNING else self.last.seq - self.first.seq + 1


class Group(Struct, frozen=True):
    """What happened on a day, to an agent or with a tag; what the grouping does not ask for is None.

    A tag None is for tasks without a tag, an agent None for what belonged to no agent.
    """

    day: str | None
    agent: str | None
    tag: str | None
    figures: Figures


class InAll(Struct, frozen=True):
    """What happened from the ledger's beginning to the period's end."""

    created: int
    completed: int
    failed: int


class Report(Struct, frozen=True, kw_only=True):
    """`open` is how many tasks were pending, assigned or running after the last event, `open_of` how many an agent had of them."""

    period: Period
    total: Figures
    groups: Mapping[Grouping, Sequence[Group]]
    days: Sequence[str]
    """Every day of the period, also those on which nothing happened."""
    open: int
    open_of: Mapping[str, int]
    in_all: InAll | None
    """Only where it was asked for."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: no event counted, and no task is open."""
        return not self.period.events or (self.total == NO_FIGURES and not self.open)


class Days:
    """The days of the user's zone, or of UTC."""

    def __init__(self, *, is_utc: bool) -> None:
        self._is_utc = is_utc
        # Many events have the same minute, and no zone of today changes its offset within one.
        self._of_minute: Callable[[int], str] = lru_cache(maxsize=100_000)(self._day_of_minute)

    def of_ms(self, ms: int) -> str:
        """`2026-11-23`."""
        return self._of_minute(ms // _MINUTE_MS)

    def of(self, moment: datetime) -> date:
        return moment.astimezone(UTC).date() if self._is_utc else local_day(moment)

    def beginning(self, day: date) -> datetime:
        """Its midnight."""
        midnight = datetime.combine(day, time())
        return midnight.replace(tzinfo=UTC) if self._is_utc else placed(midnight)[0]

    def zone(self, times: Iterable[datetime]) -> str:
        return "UTC" if self._is_utc else zone_name(times)

    def _day_of_minute(self, minute: int) -> str:
        return self.of(from_ms(minute * _MINUTE_MS)).isoformat()


def read_period(
    store: EventStore,
    events: EventReader,
    *,
    upto: Position,
    since: Moment | str | None,
    until: Moment | str | None,
    days: Days,
) -> Period:
    """The period from `since` to `until`, as far as the ledger has it up to `upto`. MomentError."""
    end = upto if until is None else min(upto, events.position_at(until))
    if end.ms > TIME_MS_MAX:
        # No command can make this event, so nothing of it counts.
        end = store.end_at(TIME_MS_MAX)
    asked = _days_before(end.time, PERIOD_DAYS - 1, days) if since is None else since
    first = events.first_after(asked)
    if first > end:
        first = BEGINNING
    is_cut = isinstance(asked, datetime) and asked > store.start().time
    begun = asked if isinstance(asked, datetime) and is_cut else (end if first == BEGINNING else first).time
    return Period(
        first=first,
        last=end,
        since=begun,
        earlier=end.seq if first == BEGINNING else first.seq - 1,
        later=upto.seq - end.seq,
        zone=days.zone([begun, end.time]),
    )


def make_report(
    store: EventStore,
    period: Period,
    groupings: Sequence[Grouping],
    *,
    agent: str | None,
    days: Days,
    states: Mapping[State, int],
    agents: Mapping[str, Mapping[State, int]],
    rows: Sequence[DayStats] | None,
) -> Report:
    """What happened in the period. `states` and `agents` are the board's counts at its end. LedgerDamagedError.

    `rows` are the present rows of the view `throughput`, from the ledger's beginning; without them nothing is said in all.
    """
    wanted = {part for grouping in groupings for part in grouping}
    activity = Activity(day_of=days.of_ms if DAY in wanted else None, has_tags=TAG in wanted, agent=agent)
    if period.events:
        before = store.position_of(period.first.seq - 1) or BEGINNING
        count_activity(store, activity, after=before, upto=period.last)
    open_of = {
        name: counts[State.ASSIGNED] + counts[State.RUNNING] for name, counts in agents.items() if agent in (None, name)
    }
    return Report(
        period=period,
        total=activity.total(),
        groups={grouping: _groups(activity, grouping, open_of) for grouping in groupings},
        days=_days_of(period, days),
        open=sum(states[state] for state in OPEN_STATES) if agent is None else open_of.get(agent, 0),
        open_of=open_of,
        in_all=None if rows is None else _in_all(store, rows, agent=agent, upto=period.last),
    )


def _in_all(store: EventStore, rows: Sequence[DayStats], *, agent: str | None, upto: Position) -> InAll:
    """The sum of the rows up to an event: those of whole days before its day, and of that day what was counted by then."""
    day = Activity(agent=agent)
    if upto != store.end():
        midnight = upto.time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        count_activity(store, day, after=store.end_at(to_ms(midnight) - 1), upto=upto)
        rows = [row for row in rows if row.day < midnight.date().isoformat()]
    counted = day.total()
    return InAll(
        sum(row.created for row in rows) + counted.created,
        sum(row.completed for row in rows) + counted.completed,
        sum(row.failed for row in rows) + counted.failed,
    )


def _days_of(period: Period, days: Days) -> list[str]:
    if not period.events:
        return []
    first, last = days.of(period.since), days.of(period.last.time)
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]


def _days_before(moment: datetime, number: int, days: Days) -> datetime:
    try:
        return days.beginning(days.of(moment) - timedelta(days=number))
    except (OverflowError, ValueError):
        # The calendar does not go back that far.
        return from_ms(0)


def _groups(activity: Activity, grouping: Grouping, open_of: Mapping[str, int]) -> list[Group]:
    """Days in their order; agents and tags with most ended tasks first, then by name; agents of a day by name."""
    found = activity.by(day=DAY in grouping, agent=AGENT in grouping, tag=TAG in grouping)
    groups = [_group(dict(zip(grouping, key, strict=True)), figures) for key, figures in found.items()]
    if DAY in grouping:
        return sorted(groups, key=lambda each: (each.day or "", each.agent is None, each.agent or ""))
    if grouping == (AGENT,):
        idle = [name for name, number in open_of.items() if number and (name,) not in found]
        groups += [Group(None, name, None, NO_FIGURES) for name in idle]
    return sorted(groups, key=_busiest_first)


def _group(key: Mapping[str, str | None], figures: Figures) -> Group:
    return Group(key.get(DAY), key.get(AGENT), key.get(TAG), figures)


def _busiest_first(group: Group) -> tuple[int, int, bool, str]:
    name = group.agent if group.agent is not None else group.tag
    return -group.figures.ended, -group.figures.created, name is None, name or ""
