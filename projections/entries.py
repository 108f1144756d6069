"""ViewEntries: what all views hold about tasks, by key, and how that changes from one batch to the next. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from ledger import Event, Keys, RecordedEvent, Task, evolve, evolve_known, flaw_of
from projections.changes import Changes
from projections.snapshots import encode_snapshot
from projections.views.view import Counted, Member, Ranked, View, ViewEntry

CountsByKey = defaultdict[str, Counter[str]]
"""Key -> field -> count."""


KeyedEntry = tuple[str, ViewEntry]
"""A view's key, and what it holds about a task."""

Tally = Callable[[Task | None, RecordedEvent], Sequence[Counted]]

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


class ViewEntries:
    """The entries of one town's `views`."""

    def __init__(self, keys: Keys, views: Sequence[View]) -> None:
        self._keys = keys
        part_keys = {view.name: _PartKeys(keys.view(view.name)) for view in views}
        asked = [(view, (view.entries, part_keys[view.name])) for view in views]
        self._of_shared_fields = [each for view, each in asked if view.fields <= _SHARED_FIELDS]
        self._of_each = [each for view, each in asked if not view.fields <= _SHARED_FIELDS]
        self.followers: defaultdict[type[Event], list[tuple[Tally, _PartKeys]]] = defaultdict(list)
        """Fact -> the views that count it."""
        for view in views:
            for fact in view.follows_events:
                self.followers[fact].append((view.tally, part_keys[view.name]))

    def of(self, task: Task) -> list[KeyedEntry]:
        """Every entry of a task, with its key."""
        return _ask(self._of_shared_fields, task) + _ask(self._of_each, task)

    def contents(self, tasks: Sequence[Task]) -> Contents:
        """The entries of many tasks, collected by key."""
        contents = Contents(defaultdict(list), defaultdict(dict), defaultdict(Counter))
        groups: defaultdict[SharedFields, list[Task]] = defaultdict(list)
        for task in tasks:
            groups[_shared_fields_of(task)].append(task)
        for group in groups.values():
            ids = [task.id for task in group]
            for key, entry in _ask(self._of_shared_fields, group[0]):
                contents.add(key, entry, ids)
        for task in tasks:
            for key, entry in _ask(self._of_each, task):
                contents.add(key, entry, (task.id,))
        return contents

    def tally(self, counts: CountsByKey, before: Task | None, recorded: RecordedEvent) -> None:
        """Add to `counts` what views that follow events count for this one; nothing if it is damage or its task is damaged."""
        followers = self.followers.get(type(recorded.data))
        if followers is None or (before is not None and before.damaged_at is not None):
            return
        if flaw_of(before, recorded) is None:
            self.tally_sound(counts, before, recorded)

    def tally_sound(self, counts: CountsByKey, before: Task | None, recorded: RecordedEvent) -> None:
        """As `tally`, for an event that is known to be sound, of a task that is not damaged."""
        for tally, part_keys in self.followers.get(type(recorded.data), ()):
            for counted in tally(before, recorded):
                counts[part_keys[counted.part]][counted.field] += 1

    def project(
        self, tasks: dict[str, Task | None], events: Iterable[RecordedEvent], *, absent: Collection[str] = ()
    ) -> Changes:
        """Fold events onto `tasks`, and return the changes to snapshots and views.

        `tasks` has every task of the events, as it is right before them; afterwards it has the tasks after them. The ids in
        `absent` are known not to exist. For another task that is None, an event that needs it is a MisplacedEventError.
        SequenceGapError.
        """
        changes = Changes()
        # Views are asked once for all tasks with the same shared fields: most tasks of a batch share them with others.
        common: dict[SharedFields | None, list[KeyedEntry]] = {}
        # Before the fold, which changes tasks in place.
        before = {task_id: self._look_at(state, common) for task_id, state in tasks.items()}
        known = set(absent)
        made = {task_id for task_id, state in tasks.items() if state is not None}
        for recorded in events:
            task_id = recorded.task
            state = tasks[task_id]
            self.tally(changes.counts, state, recorded)
            after = evolve_known(state, recorded) if task_id in known else evolve(state, recorded)
            tasks[task_id] = after
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
