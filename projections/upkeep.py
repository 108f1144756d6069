"""Upkeep: keeps snapshots and views as the ledger says, and finishes a rebuild that nobody is at work on."""

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
    """The projections of one town: caught up, rebuilt and verified. `where` names the server in messages."""

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
        """Called while much is projected."""
        self.between_batches: Callable[[], None] = lambda: None
        """Called between any two steps of catching up, also of finishing a rebuild. What it raises ends these."""

    def catch_up(self, upto: Position | None = None) -> Position:
        """Project what is in the ledger and not yet in snapshots and views; returns the checkpoint.

        Where a worker runs, it is given a moment to do so. A rebuild that was begun and is at work no more is finished.
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
                # What a rebuild was putting right when it ended is put right first.
                stored = self.projector.checkpoints.read()[0]
                if stored is None or stored.rebuild is None or time.monotonic() > deadline:
                    raise
                if not self._finish_rebuild():
                    time.sleep(_REBUILD_POLL_SECONDS)
                continue
            if checkpoint.rebuild is None or not self._finish_rebuild():
                return checkpoint.position

    def look(self, wanted: Wanted = NOTHING) -> Look | None:
        """What is wanted of a town that is caught up, in one call; None where it is not, and `catch_up` is needed."""
        return self._looker.look(wanted)

    def project_own(self, look: Look, events: Sequence[RecordedEvent]) -> bool:
        """Project events that this process appended right after `look`, in one call; False where `catch_up` is needed.

        So it is where others appended or projected meanwhile, where a worker projects, and where a task of the events was
        not looked at, or lies in an unusual way.
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
        return self.projector.project_own(look.checkpoints, events, tasks)

    def find_outdated(self) -> OutdatedProjectionError | None:
        """What says that an older program projected the town; None where none did. Nothing is written. Source: HMGET."""
        try:
            self.projector.checkpoints.read_sound(is_fenced_too=True)
        except OutdatedProjectionError as outdated:
            return outdated
        except LedgerDamagedError:
            # That is for those to tell who need the checkpoints.
            return None
        return None

    def rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> RebuildReport:
        """Make snapshots and views (or one view) equal to the fold of the ledger, while others append and read.

        LossNotAcceptedError where events are missing; UnknownProjectionError. StoreUnavailableError: run it again.
        """
        report = self._rebuild(view=view, accepts_loss=accepts_loss, progress=progress).run()
        self.catch_up()
        return report

    def preview_rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> Iterator[Difference]:
        """What a rebuild would put right; nothing is written. Errors as for `rebuild`."""
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
        """Finish a rebuild that nobody is at work on; whether this call did.

        It accepts the losses that the rebuild was told to accept, and no others: LossNotAcceptedError.
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
