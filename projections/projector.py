"""The projector: reads events after the checkpoint, folds them onto snapshots and views, and commits both together.

Any process may project at any time. The commit compares the checkpoints and moves them in one script, so of racing
projectors one commits and the others read again; nothing else coordinates them (DESIGN 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    CREATIONS,
    EventStore,
    Keys,
    MisplacedEventError,
    Position,
    RecordedEvent,
    ReplyTooLargeError,
    SequenceGapError,
    Task,
    TaskAdopted,
    UnfitReplyError,
    evolve_known,
    is_task_id,
    order_of,
    redis_errors,
)
from projections import snapshots
from projections.changes import Changes
from projections.checkpoint import Checkpoint, Checkpoints
from projections.entries import ViewEntries
from projections.errors import CheckpointAheadError, SnapshotDamagedError
from projections.listing import number_of
from projections.readiness import Asked, Known, settle
from projections.views.by_link import ByLink
from projections.views.by_parent import ByParent
from projections.views.catalogue import VIEWS
from projections.views.ready import Counts
from projections.views.view import View

if TYPE_CHECKING:
    from redis import Redis

    from projections.lease import Lease
    from projections.lua.commit import CommitScript

BATCH_EVENTS_MAX: Final = 500
WORKER_WAIT_SECONDS_MAX: Final = 0.1
"""How long a command leaves its events to a worker before it projects them itself."""
_WORKER_POLL_SECONDS: Final = 0.001
UNEXPLAINED_ROUNDS_MAX: Final = 100
"""So many times in a row a commit may be refused though nobody else committed."""

Progress = Callable[[Position, Position], None]
"""Called after each batch with the checkpoint and the position to reach."""


class BatchOutcome(Enum):
    """How one batch ended."""

    COMMITTED = "committed"
    LOST = "lost"
    NOTHING_TO_DO = "nothing to do"


class Batch(Struct, frozen=True):
    """One step of a projector: how it ended, how many events it projected, and where the checkpoints are now."""

    outcome: BatchOutcome
    events: int
    checkpoints: list[Checkpoint]

    @property
    def position(self) -> Position:
        return self.checkpoints[0].position


class Projector:
    """Projects one town. With a `lease`, it first gives the holder a moment to do the work. `where` names the server."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        views: Sequence[View] = VIEWS,
        batch_events_max: int = BATCH_EVENTS_MAX,
        lease: Lease | None = None,
        where: str = "redis",
    ) -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._entries = ViewEntries(keys, views)
        self._batch_events_max = batch_events_max
        self._lease = lease
        self._store = EventStore(client, keys, where=where)
        self.checkpoints = Checkpoints(client, keys, views, where=where)

    @cached_property
    def _commit(self) -> CommitScript:
        from projections.lua.commit import CommitScript  # noqa: PLC0415 - many commands only read

        return CommitScript(self._client)

    def catch_up(self, upto: Position | None = None, *, progress: Progress | None = None) -> Position:
        """As `advance`, but returns only the position."""
        return self.advance(upto, progress=progress).position

    def advance(self, upto: Position | None = None, *, progress: Progress | None = None) -> Checkpoint:
        """Project every event up to `upto` (None: the present end); returns the snapshots' checkpoint.

        It ends, because each round commits a batch or finds that another projector did, or else ends soon. Damage stops it with an error that
        names the position (EventDecodingError, SequenceGapError, MisplacedEventError); earlier batches stay committed.
        """
        end, last = self._store.look_at_end()
        goal = end if upto is None else upto
        checkpoints = self.checkpoints.read_sound()
        if last != end and checkpoints[0].accepted_loss != end:
            raise CheckpointAheadError(end, last)
        if checkpoints[0].position < goal and self._lease is not None and self._lease.is_taken():
            self._wait_for_worker(goal)
            checkpoints = self.checkpoints.read_sound()
        if progress is not None and checkpoints[0].position < goal:
            progress(checkpoints[0].position, goal)
        unexplained = 0
        while (position := checkpoints[0].position) < goal:
            batch = self.project_batch(checkpoints)
            # Nothing was committed, and nobody else did: a server that has replaced another one says so once.
            unexplained = (
                unexplained + 1 if batch.outcome is BatchOutcome.LOST and batch.checkpoints == checkpoints else 0
            )
            if unexplained == UNEXPLAINED_ROUNDS_MAX:
                with redis_errors(self._where):
                    raise UnfitReplyError("EVALSHA")
            checkpoints = batch.checkpoints
            if batch.outcome is BatchOutcome.NOTHING_TO_DO and batch.position == position:
                now = self._store.end()
                if upto is not None or now >= goal:
                    raise SequenceGapError("last sequence number", position, expected=goal.seq, found=position.seq)
                # Another server has taken over, which lacks the last events.
                goal = now
            if progress is not None:
                progress(checkpoints[0].position, goal)
        # Others may have appended and projected meanwhile; only a checkpoint after the present end is damage.
        if position > goal and position > self._store.end():
            raise CheckpointAheadError(position, self._store.end())
        return checkpoints[0]

    def project_own(
        self,
        checkpoints: list[Checkpoint],
        events: Sequence[RecordedEvent],
        tasks: dict[str, Task | None],
        known: Known,
    ) -> bool:
        """Commit events that come right after `checkpoints`; `tasks` has their tasks as they are right before them.

        A task that is None never existed. `known` may have more about them, and about others. False if another projector was
        first; then nothing was written. Source: commit.lua.
        """
        absent = {task_id for task_id, state in tasks.items() if state is None}
        return self._commit_changes(checkpoints, events, self._changes(tasks, events, absent, known))

    def project_batch(self, checkpoints: list[Checkpoint] | None = None) -> Batch:
        """Read, fold and commit one batch after `checkpoints` (None: read them first). Errors as for `catch_up`."""
        if checkpoints is None:
            checkpoints = self.checkpoints.read_sound()
        position = checkpoints[0].position
        limit = self._batch_events_max
        while True:
            events = self._store.read(position, limit=limit)
            try:
                return self._project(checkpoints, events)
            except ReplyTooLargeError:
                # The snapshots of these tasks are large.
                if len(events) <= 1:
                    raise
                limit = len(events) // 2

    def _project(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent]) -> Batch:
        position = checkpoints[0].position
        if not events:
            end = self._store.end()
            if position > end:
                raise CheckpointAheadError(position, end)
            return Batch(BatchOutcome.NOTHING_TO_DO, 0, checkpoints)
        if not self._commit_batch(checkpoints, events):
            return Batch(BatchOutcome.LOST, 0, self.checkpoints.read_sound())
        reached = events[-1].position
        return Batch(BatchOutcome.COMMITTED, len(events), [replace(each, position=reached) for each in checkpoints])

    def _wait_for_worker(self, goal: Position) -> None:
        """Wait until the checkpoint has reached `goal`, at most WORKER_WAIT_SECONDS_MAX."""
        deadline = time.monotonic() + WORKER_WAIT_SECONDS_MAX
        while self.checkpoints.position() < goal and time.monotonic() < deadline:
            time.sleep(_WORKER_POLL_SECONDS)

    def _commit_batch(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent]) -> bool:
        # The key of an adopted task holds its old record, which its snapshot replaces.
        touched = {recorded.task for recorded in events}
        if not all(map(is_task_id, touched)):
            # No command makes a task with such an id, so nothing is read or written under it.
            touched = set(filter(is_task_id, touched))
        concerned = [recorded for recorded in events if recorded.task in touched]
        adopted = {
            recorded.task for recorded in concerned if recorded.version == 1 and type(recorded.data) is TaskAdopted
        }
        new = {recorded.task for recorded in concerned if recorded.version == 1} - adopted
        known = Known.nothing()
        tasks = self._load(touched - adopted, new, checkpoints[0].position, known)
        if tasks is None:
            return False
        absent = new | self._absent({task_id for task_id, state in tasks.items() if state is None} - new, concerned)
        tasks |= dict.fromkeys(adopted)
        return self._commit_changes(checkpoints, events, self._changes(tasks, concerned, absent, known))

    def _ask_neighbours(self, asked: Asked) -> Known:
        from projections.neighbours import RedisNeighbours  # noqa: PLC0415 - most tasks are tied to no others

        return RedisNeighbours(self._client, self._keys, where=self._where)(asked)

    def _changes(
        self,
        tasks: dict[str, Task | None],
        events: Sequence[RecordedEvent],
        absent: Collection[str],
        known: Known,
    ) -> Changes:
        """Fold events onto `tasks`; what changes in snapshots and views, those of other tasks too."""
        before = {task_id: None if task is None else replace(task) for task_id, task in tasks.items()}
        changes = self._entries.project(tasks, events, absent=absent)
        if self._entries.has_ready:
            self._entries.settle(settle(before, tasks, self._ask_neighbours, known), changes)
        return changes

    def _commit_changes(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent], changes: Changes) -> bool:
        with redis_errors(self._where):
            return self._commit(
                checkpoints=list(zip(self.checkpoints.keys, checkpoints, strict=True)),
                from_position=checkpoints[0].position,
                upto_position=events[-1].position,
                views=self.checkpoints.views,
                changes=changes,
                ledger_key=self._keys.ledger,
            )

    def _absent(self, task_ids: set[str], events: Sequence[RecordedEvent]) -> set[str]:
        """The ids of `task_ids`, which have no snapshot, whose next event needs a task that does not exist in the ledger either.

        If it exists there, its snapshot is lost: MisplacedEventError. Source: history.lua, for a damaged task only.
        """
        absent: set[str] = set()
        for recorded in events if task_ids else ():
            if recorded.task not in task_ids:
                continue
            task_ids = task_ids - {recorded.task}
            if type(recorded.data) in CREATIONS:
                continue
            state: Task | None = None
            for earlier in self._store.history(recorded.task):
                if earlier.version >= recorded.version:
                    break
                state = evolve_known(state, earlier)
            if state is not None:
                raise MisplacedEventError(
                    recorded.position, recorded.type, recorded.task, problem="does not exist there"
                )
            absent.add(recorded.task)
        return absent

    def _load(
        self, task_ids: set[str], new: set[str], position: Position, known: Known
    ) -> dict[str, Task | None] | None:
        """The tasks as their snapshots are at `position`; None if another projector has moved on since.

        `new` are those of `task_ids` that begin now: their keys must be free. The numbers of their children and dependents
        are added to what is `known`.
        """
        keys = {task_id: self._keys.task(task_id) for task_id in sorted(task_ids)}
        with redis_errors(self._where):
            # One transaction: with snapshots of a later checkpoint, events would seem out of order.
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(self.checkpoints.keys[0], "position")
            # MGET treats a key of another type as missing, EXISTS does not. Both need at least one key.
            pipeline.exists(self._keys.task(""), *(keys[task_id] for task_id in new))
            pipeline.mget([self._keys.task(""), *keys.values()])
            pipeline.hmget(self._keys.view(ByParent.name), ["", *keys])
            pipeline.hmget(self._keys.view(ByLink.name), ["", *keys])
            reached, occupied, (_, *found), (_, *children), (_, *dependents) = pipeline.execute()
        if (BEGINNING if reached is None else reached.decode()) != position:
            return None
        known.counts.update(
            (task_id, Counts(number_of(below), number_of(needing)))
            for task_id, below, needing in zip(keys, children, dependents, strict=True)
        )
        loaded = {
            task_id: None if snapshot is None else snapshots.decode_snapshot(snapshot, key=key)
            for (task_id, key), snapshot in zip(keys.items(), found, strict=True)
        }
        limit = order_of(position)
        for task_id, state in loaded.items():
            if state is not None and order_of(state.at) > limit:
                raise SnapshotDamagedError(
                    keys[task_id], f"is of {state.position}, which is after the checkpoint, {position}"
                )
        if occupied:
            raise SnapshotDamagedError(keys[min(new)], "or that of another task that begins now, is there already")
        return loaded
