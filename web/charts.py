"""Charts: what happened on each day, how long tasks took, and how many were in each state, at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger import BEGINNING, Position
from town import MomentError
from web.answer_types import Charts
from web.answers import Answer
from web.board import position_of
from web.endpoints import Asked, AtGiven, Endpoint
from web.problems import RETRY_SECONDS, Problem

CHART_EVENTS_MAX: Final = 2_000_000
"""Each takes some 11 bytes of the server's memory, and each task some 700."""
FINISHED_MAX: Final = 2_000
_WAIT_SECONDS: Final = 2.0
"""For others who read the town's events for the first time."""
_PERCENTILES: Final = (50, 85, 95)


def figures(measured: Sequence[int]) -> dict[str, int | None]:
    """How many were measured, and exact percentiles by nearest rank. Pure."""
    ordered = sorted(measured)
    found = {f"p{each}": ordered[-(-len(ordered) * each // 100) - 1] if ordered else None for each in _PERCENTILES}
    return {"count": len(ordered), **found}


class ChartsGiven(AtGiven, frozen=True):
    """A period; what came before it is folded, and not shown."""

    since: str | None = None


def charts(asked: Asked, given: ChartsGiven) -> Answer:
    first = None if given.since is None else _start(asked, given.since)
    upto = asked.town.end()
    if given.at is not None:
        upto = asked.at(given.at)[0].then or upto
    if upto.seq > CHART_EVENTS_MAX:
        raise Problem(
            422,
            "Too many events for charts",
            f"Charts are made of at most {CHART_EVENTS_MAX:,} events, and these are {upto.seq:,}. `tt stats` counts them.",
        )
    flow = asked.served.flow.upto(asked.town.backend.store, upto, wait_seconds=_WAIT_SECONDS)
    if flow is None:
        raise Problem(
            503,
            "The charts are being made",
            "The first time, all events are read. Ask again in a moment.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    finished = flow.finished(after=0 if first is None else first.seq, number=upto.seq)
    shape = {
        "town": asked.town.name,
        "days": [each for each in flow.days(upto.seq) if first in (None, BEGINNING) or each["day"] >= _day_of(first)],
        "lead": figures(finished.lead_ms),
        "cycle": figures(finished.measured_cycles()),
        "finished": finished.part(slice(-FINISHED_MAX, None)).rows(),
    }
    # An age such as 7d is another moment each time.
    return Answer(shape, upto if given.since is None else None)


def _day_of(position: Position) -> str:
    return position.time.date().isoformat()


def _start(asked: Asked, since: str) -> Position | None:
    """The last event by then; None for a time before the town's first one."""
    try:
        return position_of(asked, since, name="since")
    except MomentError:
        return None


CHARTS: Final = (
    Endpoint(
        "GET",
        "/charts",
        ChartsGiven,
        charts,
        "Throughput, lead and cycle times, and tasks in each state by day.",
        answer=Charts,
    ),
)
