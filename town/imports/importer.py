"""Importer: brings a ledger's file into a town as it is, and another tracker's export as events of the town."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ledger import DesiredTask, Position
from town.backend import Backend
from town.errors import ImportRefusedError, MomentError
from town.imports.beads import read_beads
from town.reading.local_zone import local_time
from town.reading.present import Present
from town.reading.references import References
from town.writer import Writer

if TYPE_CHECKING:
    from town.imports.ledger import LedgerReceipt, Progress, Source


class ImportReceipt(Struct, frozen=True):
    """The result of an import: its tasks by what happened to them, its events, and the parent links it left out.

    `skipped` counts the lines of each kind other than issues.
    """

    tasks: int
    created: int
    changed: int
    removed: int
    positions: tuple[Position, ...]
    left_out: tuple[str, ...]
    skipped: Mapping[str, int]
    labels_trimmed: int
    labels_dropped: int


class Importer:
    """Imports files into one town."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._town = backend.alias_town
        self._actor = backend.actor
        self._live = backend.live
        self._references = References(Present(backend), town=backend.alias_town)
        self._writer = Writer(backend)

    def beads(
        self, path: Path | str, *, prune: bool = False, allow_empty: bool = False, backdate: datetime | None = None
    ) -> ImportReceipt:
        """Bring the town to the state of an export of the Beads tracker, in one append.

        Repeating it appends nothing. `prune` removes tasks with an alias that the file no longer has. With a file
        without issues it is refused, unless `allow_empty` is set. `backdate` is recorded as the events' time.
        ImportRefusedError, BackdateRefusedError: nothing was written.
        """
        if backdate is not None and backdate > datetime.now(UTC):
            # No later event can have an earlier time: the town's clock would stand still until then.
            raise MomentError(local_time(backdate), "has not come yet", "Give a time that has.")
        export = read_beads(Path(path), town=self._town, actor=self._actor)

        if prune and not export.desired and not allow_empty:
            problem = (
                "the file has no issue, and --prune would remove every task that has an alias;"
                " --allow-empty says that the tracker was empty then"
            )
            raise ImportRefusedError(Path(path), [problem])

        def desired() -> dict[str, DesiredTask | None]:
            targets = export.desired_of(self._references.ids_of_aliases(list(export.aliases.values())))
            if prune:
                present = self._live.page().tasks
                targets |= {task.id: None for task in present if task.alias is not None and task.id not in targets}
            return targets

        done = self._writer.reconcile(desired, backdate=backdate)
        return ImportReceipt(
            tasks=sum(target is not None for target in export.desired.values()),
            created=done.created,
            changed=done.changed,
            removed=done.removed,
            positions=done.positions,
            left_out=export.left_out,
            skipped=export.skipped,
            labels_trimmed=export.labels_trimmed,
            labels_dropped=export.labels_dropped,
        )

    def ledger(self, source: Source, *, progress: Progress | None = None) -> LedgerReceipt:
        """Append what a ledger's file has after the town's last event, byte for byte at the same positions; it may be nothing.

        `source` is the file's path, or an open pipe. Town and file must have the same events, up to the end of the shorter one.
        LedgerFileRefusedError, FolderRefusedError, LedgerDamagedError: nothing was written. WrongExpectedEndError,
        StoreUnavailableError: a part may have been written; the same import continues there.
        """
        from town.imports.ledger import LedgerImporter  # noqa: PLC0415 - other imports do not need it

        return LedgerImporter(self._backend, source, progress=progress).run()

    def restore(self, path: Path | None = None, *, progress: Progress | None = None) -> LedgerReceipt:
        """As `ledger`, from what `tt save` wrote into the town's folder, or from `path`."""
        from town.exports.ledger_file import SAVED_FILE  # noqa: PLC0415 - as above

        return self.ledger(self._backend.folder / SAVED_FILE if path is None else path, progress=progress)
