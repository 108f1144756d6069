"""The projector: reads events after the checkpoint, folds them onto snapshots and views, commits all with the checkpoint.

Any process may project at any time. The commit compares the checkpoints and moves them in one script, so of racing
projectors one commits and the others read again; nothing else coordinates them (DESIGN 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum
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
from projections.lua import CommitScript
from projections.views.catalogue import VIEWS
from projections.views.view import View

if TYPE_CHECKING:
    from redis import Redis

    from projections.lease import Lease

BATCH_EVENTS_MAX: Final = 500
WORKER_WAIT_SECONDS_MAX: Final = 0.1
"""How long a command leaves its events to a worker before it projects them itself."""
_WORKER_POLL_SECONDS: Final = 0.001

Progress = Callable[[Position, Position], None]
"""Called after each batch with the checkpoint and the position it goes for."""


class BatchOutcome(Enum):
    """What became of one batch."""

    COMMITTED = "committed"
    LOST = "lost"
    NOTHING_TO_DO = "nothing to do"


class Batch(Struct, frozen=True):
    """One step of a projector: what became of it, how many events it took in, and where the checkpoints are now."""

    outcome: BatchOutcome
    events: int
    checkpoints: list[Checkpoint]

    @property
    def position(self) -> Position:
        return self.checkpoints[0].position


class Projector:
    """Projects one town. With a `lease`, it leaves work to whoever holds it, for a little. `where` names the server."""

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
        self._commit = CommitScript(client)
        self.checkpoints = Checkpoints(client, keys, views, where=where)

    def catch_up(self, upto: Position | None = None, *, progress: Progress | None = None) -> Position:
        """As `advance`; returns the position alone."""
        return self.advance(upto, progress=progress).position

    def advance(self, upto: Position | None = None, *, progress: Progress | None = None) -> Checkpoint:
        """Project until every event up to `upto` is in (None: those there are now); returns the snapshots' checkpoint.

        Ends, because each round commits a batch or finds that another projector did. Damage stops it with the position
        (EventDecodingError, SequenceGapError, MisplacedEventError); what was committed before stays.
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
        while (position := checkpoints[0].position) < goal:
            batch = self.project_batch(checkpoints)
            checkpoints = batch.checkpoints
            if batch.outcome is BatchOutcome.NOTHING_TO_DO and batch.position == position:
                raise SequenceGapError("last sequence number", position, expected=goal.seq, found=position.seq)
            if progress is not None:
                progress(checkpoints[0].position, goal)
        # Others may have appended and projected meanwhile; only a checkpoint after the end as it is now is damage.
        if position > goal and position > self._store.end():
            raise CheckpointAheadError(position, self._store.end())
        return checkpoints[0]

    def project_own(
        self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent], tasks: dict[str, Task | None]
    ) -> bool:
        """Commit events that come right after `checkpoints`, whose tasks are known as they are right before them.

        A task that is None never was. False where another projector was first: nothing was written. Source: commit.lua.
        """
        absent = {task for task, state in tasks.items() if state is None}
        return self._commit_changes(checkpoints, events, self._entries.project(tasks, events, absent=absent))

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
                # The snapshots of their tasks are large.
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
        """Return when the checkpoint has reached `goal`, or after WORKER_WAIT_SECONDS_MAX."""
        deadline = time.monotonic() + WORKER_WAIT_SECONDS_MAX
        while self.checkpoints.position() < goal and time.monotonic() < deadline:
            time.sleep(_WORKER_POLL_SECONDS)

    def _commit_batch(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent]) -> bool:
        # What lies at the key of an adopted task is its old record, which the snapshot takes the place of.
        touched = {recorded.task for recorded in events}
        if not all(map(is_task_id, touched)):
            # A task that no command can make is nobody's: nothing is looked up or written under such a name.
            touched = set(filter(is_task_id, touched))
        concerned = [recorded for recorded in events if recorded.task in touched]
        adopted = {
            recorded.task for recorded in concerned if recorded.version == 1 and type(recorded.data) is TaskAdopted
        }
        new = {recorded.task for recorded in concerned if recorded.version == 1} - adopted
        tasks = self._load(touched - adopted, new, checkpoints[0].position)
        if tasks is None:
            return False
        absent = new | self._absent({task for task, state in tasks.items() if state is None} - new, concerned)
        tasks |= dict.fromkeys(adopted)
        return self._commit_changes(checkpoints, events, self._entries.project(tasks, concerned, absent=absent))

    def _commit_changes(self, checkpoints: list[Checkpoint], events: Sequence[RecordedEvent], changes: Changes) -> bool:
        with redis_errors(self._where):
            return self._commit(
                checkpoints=list(zip(self.checkpoints.keys, checkpoints, strict=True)),
                from_position=checkpoints[0].position,
                upto_position=events[-1].position,
                views=self.checkpoints.views,
                changes=changes,
            )

    def _absent(self, tasks: set[str], events: Sequence[RecordedEvent]) -> set[str]:
        """Those of `tasks`, which have no snapshot, that are not there by the ledger either, where their next event needs a task.

        Else a snapshot is lost: MisplacedEventError. Source: history.lua, for a damaged task only.
        """
        absent: set[str] = set()
        for recorded in events if tasks else ():
            if recorded.task not in tasks:
                continue
            tasks = tasks - {recorded.task}
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

    def _load(self, tasks: set[str], new: set[str], position: Position) -> dict[str, Task | None] | None:
        """The snapshots as they are at `position`; None where another projector has moved on since.

        At the keys of `new` tasks, which are among them, must be nothing of any type.
        """
        keys = {task: self._keys.task(task) for task in sorted(tasks)}
        with redis_errors(self._where):
            # One transaction: snapshots of a later checkpoint would look like events out of order.
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(self.checkpoints.keys[0], "position")
            # A key of another type is missing to MGET, and there to EXISTS. Both want one key at least.
            pipeline.exists(self._keys.task(""), *(keys[task] for task in new))
            pipeline.mget([self._keys.task(""), *keys.values()])
            reached, occupied, (_, *found) = pipeline.execute()
        if (BEGINNING if reached is None else reached.decode()) != position:
            return None
        loaded = {
            task: None if snapshot is None else snapshots.decode_snapshot(snapshot, key=key)
            for (task, key), snapshot in zip(keys.items(), found, strict=True)
        }
        limit = order_of(position)
        for task, state in loaded.items():
            if state is not None and order_of(state.at) > limit:
                raise SnapshotDamagedError(
                    keys[task], f"is of {state.position}, which is after the checkpoint, {position}"
                )
        if occupied:
            raise SnapshotDamagedError(keys[min(new)], "or that of another task that begins now, is there already")
        return loaded
