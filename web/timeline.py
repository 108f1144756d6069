"""The timeline of a town as an endpoint."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger import format_ms
from web.answer_types import Timeline
from web.answers import Answer
from web.endpoints import Asked, Endpoint, Given

BUCKETS: Final = 300
BUCKETS_MAX: Final = 4_000


class TimelineGiven(Given, frozen=True):
    """How fine the timeline is."""

    buckets: Annotated[int, Meta(ge=1, le=BUCKETS_MAX, description="At most so many parts.")] = BUCKETS


def timeline(asked: Asked, given: TimelineGiven) -> Answer:
    # Who sees the slider will move it.
    asked.served.warm_up.begin()
    kept = asked.served.timeline
    store = asked.town.backend.store
    kept.read_on(store)
    end = asked.town.end()
    return Answer(
        {
            "town": asked.town.name,
            "events": kept.position.seq,
            "is_whole": kept.position >= end,
            "buckets": [
                {
                    "from": each.first,
                    "to": each.last,
                    "start": format_ms(each.start_ms),
                    "end": format_ms(each.end_ms),
                    "events": each.last - each.first + 1,
                    "failures": each.failures,
                    "reopenings": each.reopenings,
                }
                for each in kept.buckets(given.buckets)
            ],
        }
    )


TIMELINE: Final = (
    Endpoint(
        "GET",
        "/timeline",
        TimelineGiven,
        timeline,
        "How many events there were over the town's life.",
        answer=Timeline,
    ),
)
