"""Basis: what a decision stands on beside its own tasks."""

from __future__ import annotations

from typing import NamedTuple

from ledger.events import Event
from ledger.position import Position


class Basis(NamedTuple):
    """The ledger as it was at `position`. An append that stands on it is refused if an event of one of these types came since.

    A creation disturbs it only if it puts the new task below another. If very many events came since, it counts as disturbed.
    """

    position: Position
    disturbed_by: frozenset[type[Event]]
