"""Details: what stands around a task when it is shown alone: its notes, its children and its last events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import LedgerDamagedError, RecordedEvent, Task, TaskNoted
from projections import find_flaws

if TYPE_CHECKING:
    from projections import Linked, Relatives
    from town.reading.annotations import Annotation

EVENTS_SHOWN: Final = 5
NOTES_SHOWN: Final = 10
CHILDREN_SHOWN: Final = 20
LINKED_SHOWN: Final = 20
EVENTS_READ: Final = 100
"""How far back notes are looked for."""


class Details(Struct, frozen=True):
    """A task and what stands around it. Notes and events are the last ones, oldest first; children and linked tasks are the first ones.

    `notes_total` is None if the history was not read to its beginning; then there may be more notes. By position,
    `annotations` are what people wrote on the events, and `flaws` why no command can make them. `damage` is why events are
    missing here.
    """

    task: Task
    relatives: Relatives
    notes: tuple[RecordedEvent, ...]
    notes_total: int | None
    events: tuple[RecordedEvent, ...]
    events_total: int
    links: tuple[Linked, ...] = ()
    annotations: Mapping[str, Sequence[Annotation]] = {}
    flaws: Mapping[str, str] = {}
    damage: LedgerDamagedError | None = None

    @property
    def has_more_notes(self) -> bool:
        return self.notes_total is None or self.notes_total > len(self.notes)

    @property
    def has_more_events(self) -> bool:
        return self.events_total > len(self.events)

    @property
    def has_more_children(self) -> bool:
        return self.relatives.total > len(self.relatives.children)


class LastEvents(Struct, frozen=True):
    """A task's last events, newest first, and the town's own, if they were read too; `damage` is why there are none."""

    own: Sequence[RecordedEvent] = ()
    of_town: Sequence[RecordedEvent] | None = None
    damage: LedgerDamagedError | None = None


def details_of(task: Task, relatives: Relatives, last: LastEvents) -> Details:
    """The details of a task as of its last event. Pure."""
    own = [recorded for recorded in last.own if recorded.position <= task.position]
    notes = [recorded for recorded in own if isinstance(recorded.data, TaskNoted)]
    is_whole = bool(own) and own[-1].version == 1
    shown = tuple(own[:EVENTS_SHOWN][::-1])
    return Details(
        task,
        relatives,
        notes=tuple(notes[:NOTES_SHOWN][::-1]),
        notes_total=len(notes) if is_whole else None,
        events=shown,
        events_total=own[0].version if own else task.version,
        flaws=find_flaws(shown, lambda ids: [task] * len(ids)),
        damage=last.damage,
    )
