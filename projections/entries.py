"""ViewEntries: what all views together hold of a task, by key; and the changes that lead from one task to the next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ledger import Keys, RecordedEvent, Task, evolve
from projections.changes import Changes
from projections.projection import Counted, Entry, Ranked, View
from projections.snapshots import encode_snapshot

Place = tuple[str, Entry]
"""A view's key, and an entry in it with the score left out: what tells whether two tasks stand in the same place."""


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        self._prefixes = [(keys.view(view.name), view) for view in views]
        self._followers = [(prefix, view) for prefix, view in self._prefixes if view.follows_events]

    def of(self, task: Task) -> Iterator[tuple[str, Entry]]:
        """Every entry of a task, with its key."""
        for prefix, view in self._prefixes:
            for entry in view.entries(task):
                yield prefix if entry.part is None else f"{prefix}:{entry.part}", entry

    def tally(self, before: Task | None, recorded: RecordedEvent) -> Iterator[tuple[str, Counted]]:
        """What the views that follow events count of one, with the key."""
        for prefix, view in self._followers:
            for counted in view.tally(before, recorded):
                yield prefix if counted.part is None else f"{prefix}:{counted.part}", counted

    def project(self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent]) -> Changes:
        """Fold events onto `tasks`, which are as they are right before them; the changes to snapshots and views.

        `tasks` holds every task of the events, and afterwards what became of it. SequenceGapError, MisplacedEventError.
        """
        changes = Changes()
        before = {task: self._places(state) for task, state in tasks.items()}
        for recorded in events:
            state = tasks[recorded.task]
            for key, counted in self.tally(state, recorded):
                changes.add(key, counted)
            tasks[recorded.task] = evolve(state, recorded)
        for task, state in tasks.items():
            changes.put_snapshot(self._keys.task(task), None if state is None else encode_snapshot(state))
            _add_difference(changes, before[task], self._places(state))
        return changes

    def _places(self, task: Task | None) -> dict[Place, Entry]:
        if task is None:
            return {}
        return {
            (key, entry._replace(score=0) if isinstance(entry, Ranked) else entry): entry
            for key, entry in self.of(task)
        }


def _add_difference(changes: Changes, before: dict[Place, Entry], after: dict[Place, Entry]) -> None:
    for place, entry in before.items():
        if place not in after:
            changes.take(place[0], entry)
    for place, entry in after.items():
        # A task that was made in this batch has a new rank, even where an older life of it had one.
        if place not in before or (isinstance(entry, Ranked) and entry.score):
            changes.add(place[0], entry)
