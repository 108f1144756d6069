"""Annotations: the notes that people wrote on events, each of which is an event of the town."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from ledger import BEGINNING, TOWN_ID, EventAnnotated, EventStore, LedgerDamagedError, Position, flaw_in


class Annotation(Struct, frozen=True):
    """A note on an event: the position of its own event, who wrote it, and its text."""

    position: Position
    actor: str
    text: str

    @property
    def time(self) -> datetime:
        return self.position.time


class Annotations(Struct, frozen=True):
    """Position -> the notes on the event there, oldest first; `damage` is why older ones could not be read."""

    of: dict[str, tuple[Annotation, ...]] = {}
    damage: LedgerDamagedError | None = None


def read_annotations(store: EventStore, positions: Iterable[str], *, upto: Position | None = None) -> Annotations:
    """The notes on the events at these positions, as they were at `upto` (None: now). Source: history.lua.

    A note comes after its event. So the town's own events are read from the last one back to the oldest of `positions`,
    however large the ledger is.
    """
    wanted = frozenset(positions)
    oldest = min(map(Position, wanted), default=None)
    found: dict[str, tuple[Annotation, ...]] = {}
    if oldest is None or oldest <= BEGINNING:
        return Annotations()
    try:
        for recorded in store.history_back(TOWN_ID):
            if recorded.position <= oldest:
                break
            data = recorded.data
            if not isinstance(data, EventAnnotated) or data.position not in wanted or flaw_in(recorded) is not None:
                continue
            if upto is None or recorded.position <= upto:
                note = Annotation(recorded.position, recorded.actor, data.text)
                found[data.position] = (note, *found.get(data.position, ()))
    except LedgerDamagedError as damage:
        return Annotations(found, damage)
    return Annotations(found)
