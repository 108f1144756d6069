"""ViewEntries: what all views together hold of tasks, by key; and the changes that lead from one task to the next. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from ledger import Event, Keys, RecordedEvent, Task, evolve
from projections.changes import Changes
from projections.projection import Counted, Entry, Member, Ranked, View
from projections.snapshots import encode_snapshot

Counts = defaultdict[str, Counter[str]]
"""Key -> field -> count."""


_PARTS_KEPT_MAX: Final = 1_000


class Contents(Struct, frozen=True):
    """What the keys of all views hold of some tasks: members of sets, scores in sorted sets, counts in hashes."""

    members: defaultdict[str, list[str]]
    scores: defaultdict[str, dict[str, int]]
    counts: Counts


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        # Looked up once: a batch asks each view a thousand times.
        self._entries_of = [view.entries for view in views]
        self._part_keys = [_PartKeys(keys.view(view.name)) for view in views]
        self._nothing: list[Sequence[Entry]] = [()] * len(views)
        self._followers = [
            (view.follows_events, view.tally, part_keys)
            for view, part_keys in zip(views, self._part_keys, strict=True)
            if view.follows_events
        ]
        self.followed: frozenset[type[Event]] = frozenset().union(*(view.follows_events for view in views))
        """The facts that any view counts."""

    def of(self, task: Task) -> Iterator[tuple[str, Entry]]:
        """Every entry of a task, with its key."""
        for entries_of, part_keys in zip(self._entries_of, self._part_keys, strict=True):
            for entry in entries_of(task):
                yield part_keys[entry.part], entry

    def contents(self, tasks: Sequence[Task]) -> Contents:
        """The entries of many tasks, gathered key by key."""
        members: defaultdict[str, list[str]] = defaultdict(list)
        scores: defaultdict[str, dict[str, int]] = defaultdict(dict)
        counts: Counts = defaultdict(Counter)
        for entries_of, part_keys in zip(self._entries_of, self._part_keys, strict=True):
            for task in tasks:
                for entry in entries_of(task):
                    key = part_keys[entry.part]
                    if type(entry) is Member:
                        members[key].append(task.id)
                    elif type(entry) is Ranked:
                        scores[key][task.id] = entry.score
                    elif type(entry) is Counted:
                        counts[key][entry.field] += 1
        return Contents(members, scores, counts)

    def tally(self, counts: Counts, before: Task | None, recorded: RecordedEvent) -> None:
        """Add to `counts` what the views that follow events count of one."""
        fact = type(recorded.data)
        for follows_events, tally, part_keys in self._followers:
            if fact in follows_events:
                for counted in tally(before, recorded):
                    counts[part_keys[counted.part]][counted.field] += 1

    def project(self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent]) -> Changes:
        """Fold events onto `tasks`, which are as they are right before them; the changes to snapshots and views.

        `tasks` holds every task of the events, and afterwards what became of it. SequenceGapError, MisplacedEventError.
        """
        changes = Changes()
        # Before the fold, which changes tasks in place.
        before = {task: self._entries(state) for task, state in tasks.items()}
        for recorded in events:
            state = tasks[recorded.task]
            if type(recorded.data) in self.followed:
                self.tally(changes.counts, state, recorded)
            tasks[recorded.task] = evolve(state, recorded)
        for task, state in tasks.items():
            changes.put_snapshot(self._keys.task(task), None if state is None else encode_snapshot(state))
            for part_keys, old, new in zip(self._part_keys, before[task], self._entries(state), strict=True):
                if old is not new and old != new:
                    _add_difference(changes, part_keys, task, old, new)
        return changes

    def _entries(self, task: Task | None) -> list[Sequence[Entry]]:
        """What each view holds of a task."""
        if task is None:
            return self._nothing
        return [entries_of(task) for entries_of in self._entries_of]


class _PartKeys(dict[str | None, str]):
    """The keys of one view's parts, the first _PARTS_KEPT_MAX of them made once: parents and aliases never end."""

    def __init__(self, view_key: str) -> None:
        super().__init__({None: view_key})

    def __missing__(self, part: str) -> str:
        key = f"{self[None]}:{part}"
        if len(self) < _PARTS_KEPT_MAX:
            self[part] = key
        return key


def _add_difference(
    changes: Changes, part_keys: _PartKeys, task: str, old: Sequence[Entry], new: Sequence[Entry]
) -> None:
    for entry in old:
        if entry not in new and not (type(entry) is Ranked and _has_rank(entry.part, new)):
            changes.take(part_keys[entry.part], task, entry)
    for entry in new:
        # A rank is set when the task is made: one that is made in this batch has another than in its older life, and
        # one that is read from its snapshot shows none.
        if entry not in old and not (type(entry) is Ranked and not entry.score and _has_rank(entry.part, old)):
            changes.add(part_keys[entry.part], task, entry)


def _has_rank(part: str | None, entries: Sequence[Entry]) -> bool:
    """Whether `entries` has a rank in the sorted set of `part`, at whatever score."""
    return any(isinstance(each, Ranked) and each.part == part for each in entries)
