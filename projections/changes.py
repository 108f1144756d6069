"""Changes: what one commit does to snapshots and views, gathered key by key. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from projections.views.view import Member, Ranked, ViewEntry


class Changes:
    """What one commit does; the last word on a key or member counts."""

    def __init__(self) -> None:
        self._dropped: dict[str, None] = {}
        self.snapshots: dict[str, bytes | None] = {}
        """Key -> the snapshot that is written there, or None: it is deleted."""
        self._members: dict[str, dict[str, bool]] = {}
        self._scores: dict[str, dict[str, int | None]] = {}
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Key -> field -> what is added to its count."""

    def put_snapshot(self, key: str, snapshot: bytes | None) -> None:
        """Write a snapshot; None deletes it."""
        self.snapshots[key] = snapshot

    def drop(self, key: str) -> None:
        """Delete a key of any type, before anything else; whatever is put there afterwards finds it free."""
        self._dropped[key] = None

    def add(self, key: str, entry: ViewEntry, tasks: Sequence[str]) -> None:
        """Have the key hold `entry` of each of `tasks`."""
        if isinstance(entry, Member):
            self._members.setdefault(key, {}).update(dict.fromkeys(tasks, True))
        elif isinstance(entry, Ranked):
            self._scores.setdefault(key, {}).update(dict.fromkeys(tasks, entry.score))
        else:
            self.count(key, entry.field, +len(tasks))

    def take(self, key: str, entry: ViewEntry, tasks: Sequence[str]) -> None:
        """Have the key no longer hold `entry` of each of `tasks`."""
        if isinstance(entry, Member):
            self._members.setdefault(key, {}).update(dict.fromkeys(tasks, False))
        elif isinstance(entry, Ranked):
            self._scores.setdefault(key, {}).update(dict.fromkeys(tasks))
        else:
            self.count(key, entry.field, -len(tasks))

    def count(self, key: str, field: str, increment: int) -> None:
        """Add `increment`, which may be negative, to a field."""
        self.counts[key][field] += increment

    def operations(self) -> Iterator[tuple[str, str, list[str | int]]]:
        """(operation, key, arguments) on everything but snapshots, as commit.lua knows them."""
        for key in self._dropped:
            yield "DROP", key, []
        for key, members in self._members.items():
            yield "SADD", key, [task for task, is_in in members.items() if is_in]
            yield "SREM", key, [task for task, is_in in members.items() if not is_in]
        for key, scores in self._scores.items():
            yield "ZADD", key, [part for task, score in scores.items() if score is not None for part in (score, task)]
            yield "ZREM", key, [task for task, score in scores.items() if score is None]
        for key, counts in self.counts.items():
            yield "COUNT", key, [part for field, count in counts.items() if count for part in (field, count)]
