"""Changes: collects, by key, what one commit does to snapshots and views. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from projections.views.view import Member, Ranked, ViewEntry


class Changes:
    """What one commit does. The last call about a key or member wins."""

    def __init__(self) -> None:
        self._dropped: dict[str, None] = {}
        self.snapshots: dict[str, bytes | None] = {}
        """Key -> the snapshot to write there; None deletes the key."""
        self._members: dict[str, dict[str, bool]] = {}
        self._scores: dict[str, dict[str, int | None]] = {}
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Key -> field -> what is added to its count."""

    def put_snapshot(self, key: str, snapshot: bytes | None) -> None:
        """Write a snapshot; None deletes it."""
        self.snapshots[key] = snapshot

    def drop(self, key: str) -> None:
        """Delete a key of any type. Deletions come first, so new content can be written to the key."""
        self._dropped[key] = None

    def add(self, key: str, entry: ViewEntry, task_ids: Sequence[str]) -> None:
        """Make the key hold `entry` for each of `task_ids`."""
        if isinstance(entry, Member):
            self._members.setdefault(key, {}).update(dict.fromkeys(task_ids, True))
        elif isinstance(entry, Ranked):
            self._scores.setdefault(key, {}).update(dict.fromkeys(task_ids, entry.score))
        else:
            self.count(key, entry.field, +len(task_ids))

    def take(self, key: str, entry: ViewEntry, task_ids: Sequence[str]) -> None:
        """Make the key no longer hold `entry` for each of `task_ids`."""
        if isinstance(entry, Member):
            self._members.setdefault(key, {}).update(dict.fromkeys(task_ids, False))
        elif isinstance(entry, Ranked):
            self._scores.setdefault(key, {}).update(dict.fromkeys(task_ids))
        else:
            self.count(key, entry.field, -len(task_ids))

    def count(self, key: str, field: str, increment: int) -> None:
        """Add `increment`, which may be negative, to a field."""
        self.counts[key][field] += increment

    def operations(self) -> Iterator[tuple[str, str, list[str | int]]]:
        """(operation, key, arguments) for everything except snapshots, in the form that commit.lua takes."""
        for key in self._dropped:
            yield "DROP", key, []
        for key, members in self._members.items():
            yield "SADD", key, [task_id for task_id, is_in in members.items() if is_in]
            yield "SREM", key, [task_id for task_id, is_in in members.items() if not is_in]
        for key, scores in self._scores.items():
            yield (
                "ZADD",
                key,
                [part for task_id, score in scores.items() if score is not None for part in (score, task_id)],
            )
            yield "ZREM", key, [task_id for task_id, score in scores.items() if score is None]
        for key, counts in self.counts.items():
            yield "COUNT", key, [part for field, count in counts.items() if count for part in (field, count)]
