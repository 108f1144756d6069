"""The gap: the events that this machine was told of and that are not in the ledger, and what can be done about each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ledger import Position


class Fate(StrEnum):
    """What happens to an event that is gone."""

    APPENDED = "appended"
    """It follows again, with a note that it is an old one."""
    THERE = "there"
    """It is in the ledger again: another machine, or an earlier recovery, has appended it."""
    OVERTAKEN = "overtaken"
    """Its task went on without it."""
    WAITING = "waiting"
    """Earlier events of its task are missing, and this machine does not know them."""
    DAMAGED = "damaged"
    """What the ledger has of its task is damaged, so nothing can follow it."""
    UNKNOWN = "unknown"
    """Only that it was there is known here."""


REMAINS: Final = frozenset({Fate.OVERTAKEN, Fate.WAITING, Fate.DAMAGED, Fate.UNKNOWN})
"""What a recovery leaves: writing is refused until such a loss is accepted."""


class GoneEvent(Struct, frozen=True, kw_only=True):
    """An event that is gone: where it was, and what happens to it.

    `now` is the event of its task that took its place, or itself where it is there again. Of an unknown one only the position
    is known. `why` says in words why it cannot be appended.
    """

    position: Position
    type: str = ""
    task: str = ""
    version: int = 0
    actor: str = ""
    fate: Fate
    now: Position | None = None
    why: str | None = None


class Gap(Struct, frozen=True):
    """What is gone, in the order in which it was, and where the ledger ends. `damaged` places of the receipts cannot be read.

    `moved` has the new place of each event that is there again and is named by one that is gone, whoever was told of it;
    `nowhere` has those that are named and are not there.
    """

    events: tuple[GoneEvent, ...]
    end: Position
    damaged: int = 0
    moved: Mapping[str, Position] = {}
    nowhere: frozenset[str] = frozenset()

    def of(self, *fates: Fate) -> list[GoneEvent]:
        return [each for each in self.events if each.fate in fates]

    @property
    def unseen(self) -> int:
        """How many more events were behind the ledger's end, by their numbers, that this machine has no receipt of."""
        if not self.events:
            return 0
        behind = sum(each.position.seq > self.end.seq for each in self.events)
        return max(self.events[-1].position.seq - self.end.seq - behind, 0)

    @property
    def lost(self) -> list[GoneEvent]:
        """The events that are nowhere in the ledger."""
        return [each for each in self.events if each.fate is not Fate.THERE]

    @property
    def remaining(self) -> list[GoneEvent]:
        """The events that a recovery cannot append."""
        return [each for each in self.events if each.fate in REMAINS]


class Recovered(Struct, frozen=True):
    """The result of a recovery: what was found, where `town.recovered` stands, and where the events stand now that follow again.

    No position: nothing was appended. `kept_in` is the file with the events whose loss was accepted.
    """

    gap: Gap
    position: Position | None = None
    appended: tuple[Position, ...] = ()
    is_accepted: bool = False
    kept_in: str | None = None
