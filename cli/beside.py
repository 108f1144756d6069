"""What is shown beside events: what is wrong with them, what people wrote on them, and the titles of their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from ledger import RecordedEvent
    from town import Annotation, Title, Town


class Beside(Struct, frozen=True):
    """By position, flaws and notes; by id, titles."""

    flaws: Mapping[str, str] = {}
    notes: Mapping[str, Sequence[Annotation]] = {}
    titles: Mapping[str, Title] = {}

    @classmethod
    def of(cls, town: Town, events: Sequence[RecordedEvent]) -> Beside:
        """What the town knows of these events."""
        return cls(town.find_flaws(events), town.annotations(events), town.titles(each.task for each in events))
