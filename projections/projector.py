"""The projector: reads events after the checkpoint, folds them onto snapshots and views, commits all with the checkpoint.

Any process may project at any time. The commit compares the checkpoints and moves them in one script, so of racing
projectors one commits and the others read again; nothing else coordinates them (DESIGN 5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ledger import (
    BEGINNING,
    CheckpointAheadError,
    CheckpointMismatchError,
    EventStore,
    Keys,
    Position,
    RecordedEvent,
    Task,
    redis_errors,
)
from projections import snapshots
from projections.catalogue import VIEWS
from projections.checkpoint import Checkpoint, parse_checkpoint
from projections.entries import ViewEntries
from projections.lua import CommitScript
from projections.projection import View

if TYPE_CHECKING:
    from redis import Redis

BATCH_EVENTS_MAX: Final = 500

Progress = Callable[[Position, Position], None]
"""Called after each batch with the checkpoint and the position it goes for."""


class Projector:
    """Projects one town. `where` names the server in messages."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        views: Sequence[View] = VIEWS,
        batch_events_max: int = BATCH_EVENTS_MAX,
        where: str = "redis",
    ) -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._entries = ViewEntries(keys, views)
        self._batch_events_max = batch_events_max
        self._store = EventStore(client, keys, where=where)
        self._commit = CommitScript(client)
        self._projections = [(snapshots.NAME, snapshots.SCHEMA_VERSION)]
        self._projections += [(view.name, view.schema_version) for view in views]

    def catch_up(self, upto: Position | None = None, *, progress: Progress | None = None) -> Position:
        """Project until every event up to `upto` is in (None: those there are now); returns the checkpoint reached.

        Ends, because each round commits a batch or finds that another projector did. Damage stops it with the position
        (EventDecodingError, SequenceGapError, MisplacedEventError); what was committed before stays.
        """
        goal = self._store.end() if upto is None else upto
        checkpoints = self.checkpoints()
        while (position := checkpoints[0].position) < goal:
            checkpoints = self._project_batch(checkpoints)
            if progress is not None:
                progress(checkpoints[0].position, goal)
        # Others may have appended and projected meanwhile; only a checkpoint after the end as it is now is damage.
        if position > goal and position > self._store.end():
            raise CheckpointAheadError(position, self._store.end())
        return position

    def checkpoints(self) -> list[Checkpoint]:
        """Of the snapshots, then of each view. NewerProjectionError, OutdatedProjectionError."""
        with redis_errors(self._where):
            # One transaction: a commit between two replies would look like projections out of step.
            pipeline = self._client.pipeline(transaction=True)
            for name, _ in self._projections:
                pipeline.hmget(self._keys.checkpoint(name), ["position", "schema_version", "generation"])
            replies = pipeline.execute()
        checkpoints = [
            parse_checkpoint(fields, projection=name, schema_version=schema_version)
            for (name, schema_version), fields in zip(self._projections, replies, strict=True)
        ]
        for (name, _), checkpoint in zip(self._projections, checkpoints, strict=True):
            if checkpoint.position != checkpoints[0].position:
                raise CheckpointMismatchError(name, checkpoint.position, checkpoints[0].position)
        return checkpoints

    def _project_batch(self, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
        """One batch; returns the checkpoints after it, read anew where another projector was first."""
        position = checkpoints[0].position
        events = self._store.read(position, limit=self._batch_events_max)
        if not events:
            checkpoints = self.checkpoints()
            if checkpoints[0].position == position:
                raise CheckpointAheadError(position, self._store.end())
            return checkpoints
        reached = events[-1].position
        is_committed = self._commit_batch(checkpoints, events)
        if not is_committed:
            return self.checkpoints()
        return [
            Checkpoint(position=reached, schema_version=each.schema_version, generation=each.generation)
            for each in checkpoints
        ]

    def _commit_batch(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent]) -> bool:
        tasks = self._load({recorded.task for recorded in events}, checkpoints[0].position)
        if tasks is None:
            return False
        changes = self._entries.project(tasks, events)
        keys = [self._keys.checkpoint(name) for name, _ in self._projections]
        with redis_errors(self._where):
            return self._commit(
                checkpoints=list(zip(keys, checkpoints, strict=True)),
                from_position=checkpoints[0].position,
                upto_position=events[-1].position,
                changes=changes,
            )

    def _load(self, tasks: set[str], position: Position) -> dict[str, Task | None] | None:
        """The snapshots as they are at `position`; None where another projector has moved on since."""
        keys = {task: self._keys.task(task) for task in sorted(tasks)}
        with redis_errors(self._where):
            # One transaction: snapshots of a later checkpoint would look like events out of order.
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(self._keys.checkpoint(snapshots.NAME), "position")
            pipeline.mget(list(keys.values()))
            reached, found = pipeline.execute()
        if (BEGINNING if reached is None else reached.decode()) != position:
            return None
        return {
            task: None if snapshot is None else snapshots.decode_snapshot(snapshot, key=key)
            for (task, key), snapshot in zip(keys.items(), found, strict=True)
        }
