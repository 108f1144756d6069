"""Importer: brings a town to the state of another tracker's export, in one append."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from ledger import DesiredTask, Position
from town.backend import Backend
from town.errors import ImportRefusedError, MomentError
from town.imports.beads import read_beads
from town.reading.present import Present
from town.reading.references import References
from town.writer import Writer


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
    """Imports exports of other trackers into one town."""

    def __init__(self, backend: Backend) -> None:
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
            raise MomentError(f"{backdate.isoformat(timespec='seconds')}", "has not come yet")
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
