"""ViewEntries: what all views hold about tasks and count of events, by key, and how that changes from one batch to the next. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ledger import Event, Keys, RecordedEvent, Task, evolve, evolve_known
from projections.changes import Changes
from projections.snapshots import encode_snapshot
from projections.views.ready import Ready
from projections.views.view import Counted, Member, Ranked, View, ViewEntry

if TYPE_CHECKING:
    from projections.neighbours import BoardNeighbours
    from projections.readiness import Settled

CountsByKey = defaultdict[str, Counter[str]]
"""Key -> field -> count."""

Follower = tuple[Callable[[Task | None, RecordedEvent], Sequence[Counted]], Callable[[str | None], str]]
"""What a view counts of an event, and the key of each part of the view."""
Followers = Mapping[type[Event], Sequence[Follower]]
"""Fact -> the views that count it."""
Found = tuple[Sequence[Counted], Callable[[str | None], str]]
"""What a view counts of one event, and the key of each part of the view."""

KeyedEntry = tuple[str, ViewEntry]
"""A view's key, and what it holds about a task."""

SharedFields = tuple[Any, ...]
"""The values of a task's `_SHARED_FIELDS`."""

_PARTS_KEPT_MAX: Final = 1_000
_SHARED_FIELDS: Final = frozenset({"state", "assigned_to", "tags", "parent_id"})
"""The fields whose values many tasks share. A view that uses only these fields
holds the same entries for all tasks with equal values."""
_shared_fields_of: Final[Callable[[Task], SharedFields]] = attrgetter(*sorted(_SHARED_FIELDS))


class Contents(Struct):
    """What the keys of all views hold about some tasks: members of sets, scores in sorted sets, counts in hashes."""

    members: defaultdict[str, list[str]]
    scores: defaultdict[str, dict[str, int]]
    counts: CountsByKey

    def add(self, key: str, entry: ViewEntry, task_ids: Sequence[str]) -> None:
        """The key holds `entry` for each of `task_ids`."""
        if type(entry) is Member:
            self.members[key] += task_ids
        elif type(entry) is Ranked:
            assert entry.score is not None, "the task was folded"
            self.scores[key].update(dict.fromkeys(task_ids, entry.score))
        elif type(entry) is Counted:
            self.counts[key][entry.field] += len(task_ids)


class Tally:
    """Adds to `counts` what `followers` count of sound events.

    Only the fold shows whether an event is sound, but what a view counts depends on the task right before the event.
    So call `look` before the fold, and `count` after it if the event is sound.
    """

    def __init__(self, followers: Followers, counts: CountsByKey) -> None:
        self._followers = followers
        self._counts = counts

    def look(self, before: Task | None, recorded: RecordedEvent) -> Sequence[Found]:
        """What each view counts of an event if it is sound; nothing if `before`, the task right before it, is damaged."""
        followers = self._followers.get(type(recorded.data))
        if followers is None or (before is not None and before.damaged_at is not None):
            return ()
        return [(ask(before, recorded), key_of) for ask, key_of in followers]

    def count(self, found: Sequence[Found]) -> None:
        """Count what `look` found about a sound event."""
        for counted, key_of in found:
            for each in counted:
                self._counts[key_of(each.part)][each.field] += 1


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        part_keys = {view.name: _PartKeys(keys.view(view.name)) for view in views}
        self.has_ready = Ready.name in part_keys
        """Whether the view `ready`, whose entries depend on other tasks, is one of the views."""
        self._ready_keys = part_keys.get(Ready.name, _PartKeys(""))
        asked = [(view, (view.entries, part_keys[view.name])) for view in views]
        self._of_shared_fields = [each for view, each in asked if view.fields <= _SHARED_FIELDS]
        self._of_each = [each for view, each in asked if not view.fields <= _SHARED_FIELDS]
        facts = {fact for view in views for fact in view.follows_events}
        self.followers: Followers = {
            fact: [(view.tally, part_keys[view.name].__getitem__) for view in views if fact in view.follows_events]
            for fact in facts
        }

    def of(self, task: Task) -> list[KeyedEntry]:
        """Every entry of a task, with its key."""
        return _ask(self._of_shared_fields, task) + _ask(self._of_each, task)

    def of_ready(self, entries: Iterable[ViewEntry]) -> list[KeyedEntry]:
        """Entries of the view `ready`, with their keys."""
        return [(self._ready_keys[entry.part], entry) for entry in entries]

    def settle(self, settled: Mapping[str, Settled], changes: Changes) -> None:
        """Add to `changes` how tasks stand in the view `ready`, as `readiness.settle` found it."""
        for task_id, each in settled.items():
            _add_difference(changes, [task_id], self.of_ready(each.before), self.of_ready(each.after))

    def contents(self, tasks: Sequence[Task], neighbours: BoardNeighbours | None = None) -> Contents:
        """The entries of many tasks, collected by key. `neighbours` has those of the view `ready`."""
        contents = Contents(defaultdict(list), defaultdict(dict), defaultdict(Counter))
        groups: defaultdict[SharedFields, list[Task]] = defaultdict(list)
        for task in tasks:
            groups[_shared_fields_of(task)].append(task)
        for group in groups.values():
            ids = [task.id for task in group]
            for key, entry in _ask(self._of_shared_fields, group[0]):
                contents.add(key, entry, ids)
        for entries_of, part_keys in self._of_each:
            for task in tasks:
                for entry in entries_of(task):
                    contents.add(part_keys[entry.part], entry, (task.id,))
        if neighbours is not None:
            for task in tasks:
                for key, entry in self.of_ready(neighbours.entries(task.id)):
                    contents.add(key, entry, (task.id,))
        return contents

    def project(
        self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent], *, absent: Collection[str] = ()
    ) -> Changes:
        """Fold events onto `tasks`, and return the changes to snapshots and views.

        `tasks` has every task of the events, as it is right before them; afterwards it has the tasks after them. The ids in
        `absent` are known not to exist. For another task that is None, an event that needs it is a MisplacedEventError.
        SequenceGapError.
        """
        changes = Changes()
        tally = Tally(self.followers, changes.counts)
        # Views are asked once for all tasks with the same shared fields: most tasks of a batch share them with others.
        common: dict[SharedFields | None, list[KeyedEntry]] = {}
        # Before the fold, which changes tasks in place.
        before = {task_id: self._look_at(state, common) for task_id, state in tasks.items()}
        known = set(absent)
        made = {task_id for task_id, state in tasks.items() if state is not None}
        for recorded in events:
            task_id = recorded.task
            state = tasks[task_id]
            found = tally.look(state, recorded)
            after = evolve_known(state, recorded) if task_id in known else evolve(state, recorded)
            tasks[task_id] = after
            # A flawed event makes no task, and marks one that exists as damaged.
            is_sound = state is not None if after is None else after.damaged_at is None
            if is_sound:
                tally.count(found)
            if after is None:
                known.add(task_id)
            elif state is None:
                made.add(task_id)
        moved: defaultdict[tuple[SharedFields | None, SharedFields | None], list[str]] = defaultdict(list)
        for task_id, state in tasks.items():
            if task_id not in made:
                # Its creation is flawed, so what is at its key is not ours.
                continue
            changes.put_snapshot(self._keys.task(task_id), None if state is None else encode_snapshot(state))
            (old_shared, old), (shared, new) = before[task_id], self._look_at(state, common)
            if old_shared != shared:
                moved[old_shared, shared].append(task_id)
            if old != new:
                _add_difference(changes, [task_id], old, new)
        for (old_shared, shared), ids in moved.items():
            _add_difference(changes, ids, common[old_shared], common[shared])
        return changes

    def _look_at(
        self, task: Task | None, common: dict[SharedFields | None, list[KeyedEntry]]
    ) -> tuple[SharedFields | None, list[KeyedEntry]]:
        """The shared fields of a task, and the entries that do not follow from them. Adds the others to `common`."""
        shared = None if task is None else _shared_fields_of(task)
        if shared not in common:
            common[shared] = [] if task is None else _ask(self._of_shared_fields, task)
        return shared, [] if task is None else _ask(self._of_each, task)


def _ask(views: Iterable[tuple[Callable[[Task], Sequence[ViewEntry]], _PartKeys]], task: Task) -> list[KeyedEntry]:
    """What these views hold about a task."""
    return [(part_keys[entry.part], entry) for entries_of, part_keys in views for entry in entries_of(task)]


class _PartKeys(dict[str | None, str]):
    """The keys of one view's parts. Only the first _PARTS_KEPT_MAX are kept, because there may be any number of parents."""

    def __init__(self, view_key: str) -> None:
        super().__init__({None: view_key})

    def __missing__(self, part: str) -> str:
        key = f"{self[None]}:{part}"
        if len(self) < _PARTS_KEPT_MAX:
            self[part] = key
        return key


def _add_difference(changes: Changes, task_ids: Sequence[str], old: list[KeyedEntry], new: list[KeyedEntry]) -> None:
    """Lead `task_ids`, which are alike, from `old` to `new`. What is taken and added again at another score stays, at the new one."""
    for key, entry in old:
        if (key, entry) not in new:
            changes.take(key, entry, task_ids)
    for key, entry in new:
        if (key, entry) not in old:
            changes.add(key, entry, task_ids)
