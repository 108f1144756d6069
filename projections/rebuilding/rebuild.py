"""Rebuild: makes snapshots and views equal to the fold of the ledger, online (P8).

It folds the ledger in memory, writes batch by batch what should be there, and removes what should not. A batch takes effect
only if the checkpoint is at the position that its tasks were folded to. So readers find every task at every moment, an
append waits for one batch at most, and new events are projected between two batches.

    1  fold in memory; nothing is written
    2  set a mark that a rebuild is running: a process that finds the mark but no running rebuild finishes it
    3  write what should be there, batch by batch (`overwrite`); compare the rest and correct it (`comparison`)
    4  remove the mark

If the checkpoints themselves cannot be trusted (moved by hand, or of another schema version), step 2 also sets them to the
position of the fold and raises the generation: after that no other projector commits before step 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import (
    BEGINNING,
    EventDecodingError,
    EventStore,
    Keys,
    LedgerDamagedError,
    Position,
    StoreUnavailableError,
    redis_errors,
)
from projections.changes import Changes
from projections.checking.audit import Audit, lost_after_end
from projections.checking.comparison import Comparison, Difference, DifferenceKind, Question
from projections.checkpoint import REBUILD_FENCED, REBUILD_ONLINE, Checkpoint
from projections.errors import (
    CheckpointMismatchError,
    LossNotAcceptedError,
    NewerProjectionError,
    RebuildAtWorkError,
    UnknownProjectionError,
)
from projections.lease import LEASE_MS, REBUILD, Lease
from projections.live_board import LiveBoard
from projections.lua.commit import CommitScript
from projections.projector import Projector
from projections.rebuilding.overwrite import Overwrite, WriteBatch
from projections.rebuilding.set_aside import SetAside
from projections.replay import no_garbage_collection
from projections.snapshots import NAME
from projections.views.catalogue import VIEWS
from projections.views.view import View

if TYPE_CHECKING:
    from redis import Redis

LEASE_WAIT_SECONDS_MAX: Final = 5.0
TASKS_PER_TRANSACTION_MAX: Final = 500
_LEASE_RENEWAL_SECONDS: Final = LEASE_MS / 1_000 / 8
_LEASE_POLL_SECONDS: Final = 0.01
_FENCE_ATTEMPTS_MAX: Final = 100
_REPAIR_ATTEMPTS_MAX: Final = 1_000
_CUT_OFF: Final = "The rebuild was cut off, and nothing is lost: the next command goes on with it."

RebuildProgress = Callable[[str, int, int], None]
"""Called with the present step (`Folding`, `Writing`, `Comparing`), how much of it is done, and its total."""


class RebuildReport(Struct, frozen=True):
    """What a rebuild did. `differences` is how many things it corrected; `has_lost_events` says that the ledger has gaps.

    `has_reset_checkpoints` says that the checkpoints could not be trusted and were reset.
    """

    events: int
    tasks: int
    differences: int
    position: Position
    fold_seconds: float
    write_seconds: float
    has_reset_checkpoints: bool = False
    has_lost_events: bool = False
    set_aside: int = 0
    """How many keys with other content than a snapshot were renamed under `tt:<town>:legacy:`."""


class Rebuild:
    """Rebuilds one town's snapshots and views, or one view of them."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        holder: str,
        view: str | None = None,
        views: Sequence[View] = VIEWS,
        accepts_loss: bool = False,
        where: str = "redis",
        progress: RebuildProgress | None = None,
    ) -> None:
        """`holder` is our name in leases. With `view`, only that view is rebuilt; UnknownProjectionError if there is none."""
        chosen = [each for each in views if view in (None, each.name)]
        if not chosen:
            raise UnknownProjectionError(str(view), [each.name for each in views])
        self._client = client
        self._keys = keys
        self._accepts_loss = accepts_loss
        self._commit = CommitScript(client)
        self._lease = Lease(client, keys, holder=holder, name=REBUILD, where=where)
        self._projecting = Lease(client, keys, holder=holder, where=where)
        self._progress = progress
        self.between_batches: Callable[[], None] = lambda: None
        """Called between any two steps. Raise in it to end the rebuild; the next command finishes it."""
        self._store = EventStore(client, keys, where=where)
        self._projector = Projector(client, keys, views=views, where=where)
        self._checkpoints = self._projector.checkpoints
        self._live = LiveBoard(client, keys, where=where)
        self._where = where
        self._comparison = Comparison(client, keys, views=chosen, has_snapshots=view is None, where=where)
        self._aside = SetAside(client, keys, where=where)
        self._is_of_one_view = view is not None
        self._view = view
        self._leases_renewed = 0.0
        self._lost = False
        self._has_reset_checkpoints = False

    def run(self) -> RebuildReport:
        """Fold, compare and correct. LossNotAcceptedError if events are missing and this was not accepted.

        NewerProjectionError if a newer program wrote a checkpoint. After StoreUnavailableError, run it again: it goes on.
        """
        started = time.monotonic()
        self._refuse_what_cannot_be_rebuilt()
        with no_garbage_collection():
            self._fold()
            folded = time.monotonic()
            self._take_leases()
            self._comparison.heartbeat = self._keep_up
            try:
                differences = self._begin() + self._write_all()
                self._checkpoints.mark_rebuild(None)
            except StoreUnavailableError as error:
                # The leases end by themselves; to wait once more for a server that is away would take as long again.
                error.add_note(_CUT_OFF)
                raise
            except BaseException:
                self._give_up_leases()
                raise
            self._give_up_leases()
        board = self._comparison.board
        return RebuildReport(
            events=board.position.seq,
            tasks=len(board.tasks),
            differences=differences,
            position=board.position,
            fold_seconds=folded - started,
            write_seconds=time.monotonic() - folded,
            has_reset_checkpoints=self._has_reset_checkpoints,
            has_lost_events=self._lost,
            set_aside=self._aside.count,
        )

    def preview(self) -> Iterator[Difference]:
        """What `run` would correct; writes nothing. Errors as for `run`."""
        self._refuse_what_cannot_be_rebuilt()
        with no_garbage_collection():
            self._fold()
        self._comparison.follows_checkpoint = self._is_sound() and not self._lost
        if not self._comparison.follows_checkpoint:
            yield from self._checkpoints_to_reset()
        for ask in self._comparison.questions(progress=partial(self._show, "Comparing")):
            yield from (difference for difference in ask() if not difference.is_old_record)

    def _checkpoints_to_reset(self) -> Iterator[Difference]:
        """How checkpoints that cannot be trusted would be reset."""
        projections, goal = self._checkpoints.projections, self._comparison.board.position
        for key, (_, known), stored in zip(self._checkpoints.keys, projections, self._checkpoints.read(), strict=True):
            facts: list[tuple[str, str | int, str | int | None]] = [
                ("position", goal, None if stored is None else stored.position),
                ("schema_version", known, None if stored is None else stored.schema_version),
            ]
            for field, expected, actual in facts:
                if expected != actual:
                    yield Difference(
                        kind=DifferenceKind.CHECKPOINT, key=key, field=field, expected=expected, actual=actual
                    )

    # --- 1: fold -----------------------------------------------------------------------------------------------

    def _fold(self) -> None:
        """Fold up to the snapshots' checkpoint, or to the end if the checkpoints cannot be trusted."""
        self._accept(self._loss_beyond(self._goal()) or lost_after_end(self._store, self._checkpoints.position()))
        goal = self._goal()

        def show(position: Position) -> None:
            self._show("Folding", position.seq, goal.seq)

        try:
            self._comparison.fold_to(goal, progress=show)
        except EventDecodingError:
            # An event that only a newer program can read is not lost.
            raise
        except LedgerDamagedError as damage:
            self._accept(damage)
            audit = Audit(self._store, tally=self._comparison.tally)
            self._comparison.restart(audit.board)
            audit.read(upto=goal, progress=show)
        # If the last events are lost, there is none at the goal itself.
        self._comparison.board.position = goal

    def _accept(self, loss: LedgerDamagedError | None) -> None:
        """Go on after a loss if the caller accepted that; else LossNotAcceptedError."""
        if loss is None:
            return
        if not self._accepts_loss:
            raise LossNotAcceptedError(loss) from loss
        self._lost = True

    def _loss_beyond(self, position: Position) -> LedgerDamagedError | None:
        """What is missing after `position`, where the first fold ends, or at the ledger's end."""
        try:
            if position < self._store.end():
                for _ in self._store.read_batches(position):
                    pass
        except EventDecodingError:
            raise
        except LedgerDamagedError as damage:
            return damage
        return self._store.lost_at_end()

    def _goal(self) -> Position:
        """Where to fold to: the snapshots' checkpoint, or the ledger's end if the checkpoints cannot be trusted."""
        if self._is_of_one_view or (self._is_sound() and not self._lost):
            return self._checkpoints.position()
        return self._store.end()

    def _is_sound(self) -> bool:
        """Whether the checkpoints have this program's schema versions and one position, which is that of an event."""
        stored = self._checkpoints.read()
        if not any(stored):
            return self._store.end() == BEGINNING
        versions = [version for _, version in self._checkpoints.projections]
        return (
            all(each is not None for each in stored)
            and len({each.position for each in stored if each is not None}) == 1
            and [each.schema_version for each in stored if each is not None] == versions
            and stored[0] is not None
            and stored[0].rebuild != REBUILD_FENCED
            and self._is_position(stored[0].position)
            and not self._is_set_back(stored[0].position)
        )

    def _is_position(self, position: Position) -> bool:
        """Whether a checkpoint may be at `position`: an event, the beginning, or the end even if its event is lost."""
        return position in (BEGINNING, self._store.end()) or self._store.has(position)

    def _is_set_back(self, position: Position) -> bool:
        """Whether snapshots already know the next events, which means that the checkpoint was moved back."""
        try:
            task_ids = sorted({recorded.task for recorded in self._store.read(position)})
            is_ahead = any(task is not None and task.position > position for task in self._live.get_many(task_ids))
        except LedgerDamagedError:
            return False
        # If the checkpoint moved meanwhile, the snapshots were rightly ahead.
        return is_ahead and position == self._checkpoints.position()

    def _refuse_what_cannot_be_rebuilt(self) -> None:
        """Refuse projections of a newer program, and a rebuild of one view while another projection is unsound."""
        stored = self._checkpoints.read()
        self._checkpoints.check_views(stored[0])
        for (name, known), checkpoint in zip(self._checkpoints.projections, stored, strict=True):
            if checkpoint is not None and checkpoint.schema_version > known:
                raise NewerProjectionError(name, schema=checkpoint.schema_version, schema_known=known)
            if self._is_of_one_view and name != self._view:
                position = BEGINNING if checkpoint is None else checkpoint.position
                if checkpoint is None or checkpoint.schema_version != known or position != self._checkpoints.position():
                    raise CheckpointMismatchError(name, position, self._checkpoints.position())
        if self._is_of_one_view and self._is_set_back(self._checkpoints.position()):
            raise CheckpointMismatchError(NAME, self._checkpoints.position(), self._store.end())

    # --- 2: begin ----------------------------------------------------------------------------------------------

    def _take_leases(self) -> None:
        """Be the only rebuild, and take over projecting from commands, unless a worker does it already."""
        deadline = time.monotonic() + LEASE_WAIT_SECONDS_MAX
        while not self._lease.take():
            if time.monotonic() > deadline:
                raise RebuildAtWorkError
            time.sleep(_LEASE_POLL_SECONDS)
        self._projecting.take()

    def _give_up_leases(self) -> None:
        self._projecting.give_up()
        self._lease.give_up()

    def _keep_leases(self) -> None:
        if time.monotonic() < self._leases_renewed + _LEASE_RENEWAL_SECONDS:
            return
        self._leases_renewed = time.monotonic()
        self._lease.take()
        self._projecting.take()

    def _begin(self) -> int:
        """Set the mark, and reset checkpoints that cannot be trusted; returns how many of their fields were wrong."""
        if self._is_sound() and not self._lost:
            self._checkpoints.mark_rebuild(REBUILD_ONLINE)
            return 0
        for _ in range(_FENCE_ATTEMPTS_MAX):
            goal = self._goal()
            self._comparison.fold_to(goal)
            self._comparison.board.position = goal
            differences = sum(1 for _ in self._checkpoints_to_reset())
            accepted = self._store.count_lost() if self._lost else None
            if self._checkpoints.fence(self._checkpoints.read(), goal, accepted_events=accepted):
                self._has_reset_checkpoints = True
                return differences
        raise StoreUnavailableError(
            self._where, "did not let the checkpoints be set", "Try again when less is written."
        )

    # --- 3: write ----------------------------------------------------------------------------------------------

    def _write_all(self) -> int:
        """Correct unknown snapshots, then every task, then everything else in the views; returns how many things were wrong."""
        comparison = self._comparison
        differences = sum(self._repair(ask) for ask in comparison.questions_on_snapshots())
        differences += self._overwrite()
        return differences + sum(self._repair(ask) for ask in comparison.questions_on_views())

    def _overwrite(self) -> int:
        """Write every task as it is at the checkpoint; returns how many things were wrong before."""
        differences, attempts = 0, 0
        with Overwrite(
            self._client,
            self._keys,
            has_snapshots=not self._is_of_one_view,
            set_aside=self._aside.to_set_aside,
            where=self._where,
        ) as overwrite:
            batches = map(
                partial(self._batch, overwrite),
                self._comparison.batches(tasks_max=TASKS_PER_TRANSACTION_MAX, progress=self._show_written),
            )
            batch, following = next(batches, None), None
            has_kept_up = False
            while batch is not None:
                self._keep_leases()
                written = None
                # Waiting events are projected first, but only once per batch: otherwise the batch might never be written.
                if overwrite.begin(batch, only_at_end=not has_kept_up and not self._has_reset_checkpoints):
                    # Made while the server writes the previous one.
                    following = following or next(batches, None)
                    written = overwrite.finish()
                else:
                    batch, has_kept_up = self._keep_up_with(batch, overwrite), True
                if written is not None:
                    differences, attempts, has_kept_up = differences + written, 0, False
                    batch, following = following, None
                elif (attempts := attempts + 1) > _REPAIR_ATTEMPTS_MAX:
                    raise self._written_without_pause()
        return differences

    def _keep_up_with(self, batch: WriteBatch, overwrite: Overwrite) -> WriteBatch:
        """Project new events. If that moves the checkpoint, make the batch again, because it is out of date."""
        self._keep_up()
        self._comparison.fold_to(self._checkpoints.position())
        if batch.position == self._comparison.board.position:
            return batch
        return self._batch(overwrite, [task.id for task in batch.tasks])

    def _batch(self, overwrite: Overwrite, ids: Sequence[str]) -> WriteBatch:
        tasks, contents = self._comparison.contents(ids)
        self._comparison.cover(tasks, contents)
        return overwrite.batch(tasks, contents, self._comparison.board.position)

    def _repair(self, ask: Question) -> int:
        """Correct what differs, in one commit at the position of the comparison; returns how many differences there were."""
        self._keep_up()
        for _ in range(_REPAIR_ATTEMPTS_MAX):
            differences = [difference for difference in ask() if not difference.is_old_record]
            if not differences or self._commit_repairs(differences):
                return len(differences)
        raise self._written_without_pause()

    def _written_without_pause(self) -> StoreUnavailableError:
        return StoreUnavailableError(self._where, "is written to without pause", "Try again when less is written.")

    def _commit_repairs(self, differences: Iterable[Difference]) -> bool:
        checkpoints = self._checkpoints.read_sound(is_fenced_too=True)
        position = self._comparison.board.position
        if checkpoints[0].position != position:
            return False
        changes = Changes()
        # Other content at the key of a snapshot may be somebody's work.
        differences = list(differences)
        aside = self._aside.to_set_aside(
            {each.key: None for each in differences if each.kind is DifferenceKind.UNKNOWN_KEY}
        )
        for difference in (each for each in differences if each.key not in aside):
            if difference.is_foreign:
                with redis_errors(self._where):
                    difference.remove(self._client)
            else:
                difference.repair(changes)
        return self._commit_at(checkpoints, position, changes)

    def _commit_at(self, checkpoints: Sequence[Checkpoint], position: Position, changes: Changes) -> bool:
        with redis_errors(self._where):
            return self._commit(
                checkpoints=list(zip(self._checkpoints.keys, checkpoints, strict=True)),
                from_position=position,
                upto_position=position,
                views=self._checkpoints.views,
                changes=changes,
            )

    def _keep_up(self) -> None:
        """Project new events between two batches, so that others wait for one batch at most."""
        self.between_batches()
        self._keep_leases()
        stored = self._checkpoints.read()
        if stored[0] is not None and stored[0].rebuild == REBUILD_FENCED:
            return
        try:
            self._projector.project_batch()
        except LedgerDamagedError:
            # A damaged snapshot stops this; it is corrected when its turn comes.
            return

    def _show_written(self, done: int, total: int) -> None:
        self._show("Writing", done, total)

    def _show(self, what: str, done: int, total: int) -> None:
        self.between_batches()
        if self._progress is not None:
            self._progress(what, done, total)
