"""ViewEntries: what all views together hold of tasks and count of events, by key; and what leads from one task to the next. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from ledger import Event, Keys, RecordedEvent, Task, evolve, evolve_known
from projections.changes import Changes
from projections.snapshots import encode_snapshot
from projections.views.view import Counted, Entry, Member, Ranked, View

CountsByKey = defaultdict[str, Counter[str]]
"""Key -> field -> count."""

Follower = tuple[Callable[[Task | None, RecordedEvent], Sequence[Counted]], Callable[[str | None], str]]
"""What a view counts of an event, and the key of each part of the view."""
Followers = Mapping[type[Event], Sequence[Follower]]
"""Who counts each fact."""
Found = tuple[Sequence[Counted], Callable[[str | None], str]]
"""What a view counts of one event, and the key of each part of the view."""

KeyedEntry = tuple[str, Entry]
"""A view's key and what it holds of a task."""

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
    counts: CountsByKey

    def add(self, key: str, entry: Entry, tasks: Sequence[str]) -> None:
        """The key holds `entry` of each of `tasks`."""
        if type(entry) is Member:
            self.members[key] += tasks
        elif type(entry) is Ranked:
            assert entry.score is not None, "the task was folded"
            self.scores[key].update(dict.fromkeys(tasks, entry.score))
        elif type(entry) is Counted:
            self.counts[key][entry.field] += len(tasks)


class Tally:
    """Adds to `counts` what `followers` count of the events that are sound.

    Whether an event is sound, its fold tells; what a view counts of it, the task tells as it is right before. So an event is
    looked at before it is folded, and counted afterwards.
    """

    def __init__(self, followers: Followers, counts: CountsByKey) -> None:
        self._followers = followers
        self._counts = counts

    def look(self, before: Task | None, recorded: RecordedEvent) -> Sequence[Found]:
        """What each view counts of an event, if it is sound; `before` is the task right before it. Nothing counts after damage."""
        followers = self._followers.get(type(recorded.data))
        if followers is None or (before is not None and before.damaged_at is not None):
            return ()
        return [(ask(before, recorded), key_of) for ask, key_of in followers]

    def count(self, found: Sequence[Found]) -> None:
        """Count what `look` found of an event that was sound."""
        for counted, key_of in found:
            for each in counted:
                self._counts[key_of(each.part)][each.field] += 1


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        part_keys = {view.name: _PartKeys(keys.view(view.name)) for view in views}
        asked = [(view, (view.entries, part_keys[view.name])) for view in views]
        self._of_traits = [each for view, each in asked if view.fields <= _TRAITS]
        self._of_each = [each for view, each in asked if not view.fields <= _TRAITS]
        facts = {fact for view in views for fact in view.follows_events}
        self.followers: Followers = {
            fact: [(view.tally, part_keys[view.name].__getitem__) for view in views if fact in view.follows_events]
            for fact in facts
        }

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
        for entries_of, part_keys in self._of_each:
            for task in tasks:
                for entry in entries_of(task):
                    contents.add(part_keys[entry.part], entry, (task.id,))
        return contents

    def project(
        self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent], *, absent: Collection[str] = ()
    ) -> Changes:
        """Fold events onto `tasks`, which are as they are right before them; the changes to snapshots and views.

        `tasks` holds every task of the events, and afterwards what became of it. Those in `absent` are known not to be
        there; of others that are None, an event that needs a task is a MisplacedEventError. SequenceGapError.
        """
        changes = Changes()
        tally = Tally(self.followers, changes.counts)
        # What tasks that are alike have in common is asked once: few tasks of a batch are unlike all others.
        common: dict[Traits | None, list[KeyedEntry]] = {}
        # Before the fold, which changes tasks in place.
        before = {task: self._look_at(state, common) for task, state in tasks.items()}
        known = set(absent)
        made = {task for task, state in tasks.items() if state is not None}
        for recorded in events:
            task = recorded.task
            state = tasks[task]
            found = tally.look(state, recorded)
            after = evolve_known(state, recorded) if task in known else evolve(state, recorded)
            tasks[task] = after
            # Damage makes no task, and marks one that is there.
            is_sound = state is not None if after is None else after.damaged_at is None
            if is_sound:
                tally.count(found)
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
