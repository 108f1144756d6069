"""Upkeep: keeps snapshots and views in step with the ledger, and finishes a rebuild that its process abandoned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ledger import EventStore, Keys, LedgerDamagedError, Position, RecordedEvent, Task
from projections.errors import OutdatedProjectionError, RebuildUnfinishedError
from projections.lease import REBUILD, Lease, new_holder
from projections.look import NOTHING, Look, Looker, Wanted
from projections.projector import Progress, Projector

if TYPE_CHECKING:
    from redis import Redis

    from projections.checking.comparison import Difference
    from projections.checking.verify import Verification
    from projections.rebuilding.rebuild import Rebuild, RebuildProgress, RebuildReport

REBUILD_WAIT_SECONDS_MAX: Final = 120.0
_REBUILD_POLL_SECONDS: Final = 0.05


class Upkeep:
    """Catches up, rebuilds and verifies the projections of one town. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, store: EventStore, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._store = store
        self._where = where
        self._holder = new_holder()
        self.lease = Lease(client, keys, holder=self._holder, where=where)
        """The lease on projecting this town."""
        self.projector = Projector(client, keys, lease=self.lease, where=where)
        self._looker = Looker(client, keys, self.projector.checkpoints, where=where)
        self.progress: Progress | None = None
        """Called while many events are projected."""
        self.between_batches: Callable[[], None] = lambda: None
        """Called between any two steps of catching up or finishing a rebuild. An exception from it ends them."""

    def catch_up(self, upto: Position | None = None) -> Position:
        """Project the events that are not yet in snapshots and views; returns the checkpoint.

        If a worker runs, it gets a moment to do so. If a rebuild was abandoned, this finishes it. Without `upto`, the end is held
        against the receipts.
        """
        deadline = time.monotonic() + REBUILD_WAIT_SECONDS_MAX
        while True:
            self.between_batches()
            try:
                checkpoint = self.projector.advance(upto, progress=self._show_progress)
            except RebuildUnfinishedError:
                if time.monotonic() > deadline:
                    raise
                if not self._finish_rebuild():
                    time.sleep(_REBUILD_POLL_SECONDS)
                continue
            except LedgerDamagedError:
                # A rebuild may have been repairing just this when it ended: finish it first.
                stored = self.projector.checkpoints.read()[0]
                if stored is None or stored.rebuild is None or time.monotonic() > deadline:
                    raise
                if not self._finish_rebuild():
                    time.sleep(_REBUILD_POLL_SECONDS)
                continue
            if checkpoint.rebuild is None or not self._finish_rebuild():
                if upto is None:
                    self._store.hold_against_receipts(checkpoint.position)
                return checkpoint.position

    def look(self, wanted: Wanted = NOTHING) -> Look | None:
        """Read what is wanted in one call, if the town is caught up; None if `catch_up` is needed."""
        return self._looker.look(wanted, told=self._store.receipts.sampled)

    def project_own(self, look: Look, events: Sequence[RecordedEvent]) -> bool:
        """Project events that this process appended right after `look`, in one call; False if `catch_up` is needed.

        It is needed if others appended or projected meanwhile, if a worker projects, or if `look` does not have a task of the
        events, or not in the usual form.
        """
        if look.has_worker or events[0].position.seq != look.position.seq + 1:
            return False
        tasks: dict[str, Task | None] = {}
        for recorded in events:
            task_id = recorded.task
            if task_id in tasks:
                continue
            if task_id not in look:
                return False
            tasks[task_id] = look.get(task_id)
            is_new = recorded.version == 1 and look.version(task_id) == 0 and look.is_free(task_id)
            if tasks[task_id] is None and not is_new:
                return False
        known = look.known(touched=tasks)
        return known is not None and self.projector.project_own(look.checkpoints, events, tasks, known)

    def find_outdated(self) -> OutdatedProjectionError | None:
        """The error if an older program projected the town; None if none did. Nothing is written. Source: HMGET."""
        try:
            self.projector.checkpoints.read_sound(is_fenced_too=True)
        except OutdatedProjectionError as outdated:
            return outdated
        except LedgerDamagedError:
            # Callers that need the checkpoints report it.
            return None
        return None

    def is_rebuilding(self) -> bool:
        """Whether another process that still runs holds the lease on rebuilding the town."""
        return Lease(self._client, self._keys, holder=self._holder, name=REBUILD, where=self._where).is_taken()

    def rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> RebuildReport:
        """Make snapshots and views (or one view) equal to the fold of the ledger, while others append and read.

        LossNotAcceptedError if events are missing; UnknownProjectionError. StoreUnavailableError: run it again.
        """
        report = self._rebuild(view=view, accepts_loss=accepts_loss, progress=progress).run()
        self.catch_up()
        return report

    def preview_rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> Iterator[Difference]:
        """What a rebuild would change; nothing is written. Errors as for `rebuild`."""
        return self._rebuild(view=view, accepts_loss=accepts_loss, progress=progress).preview()

    def verify(self, *, progress: Callable[[Position], None] | None = None) -> Verification:
        """Read the whole ledger and compare heads, checkpoints, snapshots and views with it; nothing is written."""
        from projections.checking.verify import verify  # noqa: PLC0415 - most commands do not verify

        return verify(self._client, self._keys, where=self._where, progress=progress)

    def _rebuild(self, *, view: str | None, accepts_loss: bool, progress: RebuildProgress | None) -> Rebuild:
        from projections.rebuilding.rebuild import Rebuild  # noqa: PLC0415 - most commands do not rebuild

        return Rebuild(
            self._client,
            self._keys,
            holder=self._holder,
            view=view,
            accepts_loss=accepts_loss,
            where=self._where,
            progress=progress,
        )

    def _show_progress(self, reached: Position, goal: Position) -> None:
        self.between_batches()
        if self.progress is not None:
            self.progress(reached, goal)

    def _finish_rebuild(self) -> bool:
        """Finish a rebuild that its process abandoned; returns whether this call did.

        It accepts only the losses that the rebuild was told to accept: LossNotAcceptedError.
        """
        lease = Lease(self._client, self._keys, holder=self._holder, name=REBUILD, where=self._where)
        if not lease.take():
            return False
        try:
            stored = self.projector.checkpoints.read()[0]
            if stored is None or stored.rebuild is None:
                return False
            accepts_loss = stored.accepts(self._store.count_lost())
            rebuild = self._rebuild(view=None, accepts_loss=accepts_loss, progress=None)
            rebuild.between_batches = self.between_batches
            rebuild.run()
            return True
        finally:
            lease.give_up()
