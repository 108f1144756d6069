"""ViewEntries: what all views together hold of tasks, by key; and the changes that lead from one task to the next. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from ledger import Event, Keys, RecordedEvent, Task, evolve, evolve_known, flaw_of
from projections.changes import Changes
from projections.snapshots import encode_snapshot
from projections.views.view import Counted, Entry, Member, Ranked, View

Counts = defaultdict[str, Counter[str]]
"""Key -> field -> count."""


KeyedEntry = tuple[str, Entry]
"""A view's key and what it holds of a task."""

Tally = Callable[[Task | None, RecordedEvent], Sequence[Counted]]

Traits = tuple[Any, ...]
"""The values of a task's `_TRAITS`."""

_PARTS_KEPT_MAX: Final = 1_000
_TRAITS: Final = frozenset({"state", "assigned_to", "tags", "parent_id"})
"""The fields whose values many tasks share. A view that looks at no others holds the same of all tasks that are alike."""
_traits_of: Final[Callable[[Task], Traits]] = attrgetter(*sorted(_TRAITS))


class Contents(Struct):
    """What the keys of all views hold of some tasks: members of sets, scores in sorted sets, counts in hashes."""

    members: defaultdict[str, list[str]]
    scores: defaultdict[str, dict[str, int]]
    counts: Counts

    def add(self, key: str, entry: Entry, tasks: Sequence[str]) -> None:
        """The key holds `entry` of each of `tasks`."""
        if type(entry) is Member:
            self.members[key] += tasks
        elif type(entry) is Ranked:
            assert entry.score is not None, "the task was folded"
            self.scores[key].update(dict.fromkeys(tasks, entry.score))
        elif type(entry) is Counted:
            self.counts[key][entry.field] += len(tasks)


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        part_keys = {view.name: _PartKeys(keys.view(view.name)) for view in views}
        asked = [(view, (view.entries, part_keys[view.name])) for view in views]
        self._of_traits = [each for view, each in asked if view.fields <= _TRAITS]
        self._of_each = [each for view, each in asked if not view.fields <= _TRAITS]
        self.followers: defaultdict[type[Event], list[tuple[Tally, _PartKeys]]] = defaultdict(list)
        """For each fact that any view counts, who counts it."""
        for view in views:
            for fact in view.follows_events:
                self.followers[fact].append((view.tally, part_keys[view.name]))

    def of(self, task: Task) -> list[KeyedEntry]:
        """Every entry of a task, with its key."""
        return _ask(self._of_traits, task) + _ask(self._of_each, task)

    def contents(self, tasks: Sequence[Task]) -> Contents:
        """The entries of many tasks, gathered key by key."""
        contents = Contents(defaultdict(list), defaultdict(dict), defaultdict(Counter))
        alike: defaultdict[Traits, list[Task]] = defaultdict(list)
        for task in tasks:
            alike[_traits_of(task)].append(task)
        for group in alike.values():
            ids = [task.id for task in group]
            for key, entry in _ask(self._of_traits, group[0]):
                contents.add(key, entry, ids)
        for task in tasks:
            for key, entry in _ask(self._of_each, task):
                contents.add(key, entry, (task.id,))
        return contents

    def tally(self, counts: Counts, before: Task | None, recorded: RecordedEvent) -> None:
        """Add to `counts` what the views that follow events count of one; nothing where it is damage, or comes after some."""
        followers = self.followers.get(type(recorded.data))
        if followers is None or (before is not None and before.damaged_at is not None):
            return
        if flaw_of(before, recorded) is None:
            self.tally_sound(counts, before, recorded)

    def tally_sound(self, counts: Counts, before: Task | None, recorded: RecordedEvent) -> None:
        """As `tally`, of an event that is known to be no damage, and to come after none."""
        for tally, part_keys in self.followers.get(type(recorded.data), ()):
            for counted in tally(before, recorded):
                counts[part_keys[counted.part]][counted.field] += 1

    def project(
        self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent], *, absent: Collection[str] = ()
    ) -> Changes:
        """Fold events onto `tasks`, which are as they are right before them; the changes to snapshots and views.

        `tasks` holds every task of the events, and afterwards what became of it. Those in `absent` are known not to be
        there; of others that are None, an event that needs a task is a MisplacedEventError. SequenceGapError.
        """
        changes = Changes()
        # What tasks that are alike have in common is asked once: few tasks of a batch are unlike all others.
        common: dict[Traits | None, list[KeyedEntry]] = {}
        # Before the fold, which changes tasks in place.
        before = {task: self._look_at(state, common) for task, state in tasks.items()}
        known = set(absent)
        made = {task for task, state in tasks.items() if state is not None}
        for recorded in events:
            task = recorded.task
            state = tasks[task]
            self.tally(changes.counts, state, recorded)
            after = evolve_known(state, recorded) if task in known else evolve(state, recorded)
            tasks[task] = after
            if after is None:
                known.add(task)
            elif state is None:
                made.add(task)
        moved: defaultdict[tuple[Traits | None, Traits | None], list[str]] = defaultdict(list)
        for task, state in tasks.items():
            if task not in made:
                # No event could make it: what lies at its key is not ours.
                continue
            changes.put_snapshot(self._keys.task(task), None if state is None else encode_snapshot(state))
            (old_traits, old), (traits, new) = before[task], self._look_at(state, common)
            if old_traits != traits:
                moved[old_traits, traits].append(task)
            if old != new:
                _add_difference(changes, [task], old, new)
        for (old_traits, traits), ids in moved.items():
            _add_difference(changes, ids, common[old_traits], common[traits])
        return changes

    def _look_at(
        self, task: Task | None, common: dict[Traits | None, list[KeyedEntry]]
    ) -> tuple[Traits | None, list[KeyedEntry]]:
        """The traits of a task, whose entries `common` holds afterwards; and the entries that are its own."""
        traits = None if task is None else _traits_of(task)
        if traits not in common:
            common[traits] = [] if task is None else _ask(self._of_traits, task)
        return traits, [] if task is None else _ask(self._of_each, task)


def _ask(views: Iterable[tuple[Callable[[Task], Sequence[Entry]], _PartKeys]], task: Task) -> list[KeyedEntry]:
    """What these views hold of a task."""
    return [(part_keys[entry.part], entry) for entries_of, part_keys in views for entry in entries_of(task)]


class _PartKeys(dict[str | None, str]):
    """The keys of one view's parts, the first _PARTS_KEPT_MAX of them made once: parents and aliases never end."""

    def __init__(self, view_key: str) -> None:
        super().__init__({None: view_key})

    def __missing__(self, part: str) -> str:
        key = f"{self[None]}:{part}"
        if len(self) < _PARTS_KEPT_MAX:
            self[part] = key
        return key


def _add_difference(changes: Changes, tasks: Sequence[str], old: list[KeyedEntry], new: list[KeyedEntry]) -> None:
    """Lead `tasks`, which are alike, from `old` to `new`."""
    for key, entry in old:
        if (key, entry) not in new and not (type(entry) is Ranked and _has_rank(key, new)):
            changes.take(key, entry, tasks)
    for key, entry in new:
        if (key, entry) not in old:
            changes.add(key, entry, tasks)


def _has_rank(key: str, entries: Sequence[KeyedEntry]) -> bool:
    """Whether `entries` has a rank in the sorted set at `key`, at whatever score."""
    return any(type(entry) is Ranked and each == key for each, entry in entries)
