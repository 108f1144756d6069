"""The facts that are about the town or about one of its events, and of no task.

They go through the same append as those of tasks, under the reserved id `identity.TOWN_ID`, whose versions and `prev` make a
history of their own. No task is folded from them, and no view holds them. `docs/decisions/0030` has the reasons.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta

from ledger.events import Event
from ledger.position import POSITION_PATTERN

PositionText = Annotated[str, Meta(pattern=POSITION_PATTERN)]


class TownEvent(Event, frozen=True, gc=False):
    """What happened to the town, or to one of its events."""


class TownForked(TownEvent, frozen=True, gc=False):
    """The town went its own way: the events up to `position` are those of the town `source`, byte for byte."""

    type: ClassVar[str] = "town.forked"
    source: str
    position: PositionText


class EventAnnotated(TownEvent, frozen=True, gc=False):
    """Somebody wrote a note on the event at `position`."""

    type: ClassVar[str] = "event.annotated"
    position: PositionText
    text: str


TOWN_EVENT_CLASSES: Final[tuple[type[TownEvent], ...]] = (TownForked, EventAnnotated)
"""Every fact of a town, in the order of the reference page."""
