"""The events of a command: those beside one of them with the same command id, which one append wrote."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from ledger import EventStore, Position, RecordedEvent


def events_of_command(store: EventStore, named: RecordedEvent) -> list[RecordedEvent]:
    """All events of the command of `named`, oldest first."""

    def is_beside(other: RecordedEvent) -> bool:
        # One append has one time. A caller may have given its command's id to another command right beside it.
        return other.command == named.command and other.position.ms == named.position.ms

    before = takewhile(is_beside, read_back_from(store, named.position))
    after = takewhile(is_beside, _read_on_from(store, named.position))
    return [*list(before)[::-1], named, *after]


def read_back_from(store: EventStore, position: Position | None) -> Iterator[RecordedEvent]:
    """The events before a position (None: the end), newest first."""
    while events := store.read_back(position):
        yield from events
        position = events[-1].position


def _read_on_from(store: EventStore, position: Position) -> Iterator[RecordedEvent]:
    while events := store.read(position):
        yield from events
        position = events[-1].position
