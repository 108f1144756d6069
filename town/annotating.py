"""Annotating: writes a note on an event, which is itself an event of the town."""

from __future__ import annotations

from ledger import TOWN_ID, EventAnnotated, Position, check_text
from town.backend import Backend
from town.reading.event_reader import EventReader
from town.writer import Decisions, Writer


class Annotator:
    """Writes notes on the events of one town, as the actor who opened it."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._events = EventReader(backend.store)
        self._writer = Writer(backend)

    def annotate(self, event: Position | int, text: str) -> tuple[Position, Position]:
        """Write a note on the event at a position, or of a number; returns the event's position and the note's own.

        InvalidValueError, MomentError: nothing was written.
        """
        fact = EventAnnotated(position=self._events.position_at(event), text=check_text(text, "note"))
        _, positions = self._writer.carry_out(lambda: Decisions(((TOWN_ID, self._store.head(TOWN_ID)[0], [fact]),)))
        return Position(fact.position), positions[0]
