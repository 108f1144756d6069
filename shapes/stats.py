"""The JSON shapes of `tt stats`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import BEGINNING, Position, format_ms, to_ms
from shapes import Shape

if TYPE_CHECKING:
    from projections import DayStats
    from town import Group, Grouping, Period, Report, Town


def stats_shape(
    town: Town,
    report: Report,
    *,
    days: Sequence[DayStats] | None,
    has_more: bool,
    **more: Any,  # noqa: ANN401 - further fields of the shape
) -> Shape:
    """What happened in a period: in all, and for each group. `days` are the rows of the view `throughput`."""
    groups = {
        ",".join(grouping): [_group_shape(report, grouping, group) for group in found]
        for grouping, found in report.groups.items()
    }
    return {
        "town": town.name,
        **more,
        **({} if days is None else {"days": days}),
        "period": _period_shape(report.period, has_more=has_more),
        "total": {**msgspec.structs.asdict(report.total), "open": report.open},
        **({} if report.in_all is None else {"in_all": report.in_all}),
        "by": groups,
    }


def _period_shape(period: Period, *, has_more: bool) -> Shape:
    """`has_more` says that earlier events were left out though nobody asked for a period."""
    return {
        "since": format_ms(to_ms(period.since)),
        "first": _position(period.first),
        "last": _position(period.last),
        "zone": period.zone,
        "events": period.events,
        "earlier": period.earlier,
        "later": period.later,
        "has_more": has_more,
    }


def _position(position: Position) -> Position | None:
    return None if position == BEGINNING else position


def _group_shape(report: Report, grouping: Grouping, group: Group) -> Shape:
    names = {part: getattr(group, part) for part in grouping}
    counts = {"open": report.open_of.get(group.agent or "", 0)} if grouping == ("agent",) else {}
    return names | msgspec.structs.asdict(group.figures) | counts
