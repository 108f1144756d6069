"""Importer: makes a town as another tracker's export says, in one append."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from ledger import Position, WishedTask
from town.backend import Backend
from town.errors import ImportRefusedError, MomentError
from town.imports.beads import read_beads
from town.reading.present import Present
from town.reading.references import References
from town.writer import Writer


class ImportReceipt(Struct, frozen=True):
    """What an import led to: its tasks by what happened to them, its events, and the parent links it left out.

    `skipped` counts the lines of each kind other than issues. Labels were trimmed, or empty and dropped.
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
    """Takes exports of other trackers into one town."""

    def __init__(self, backend: Backend) -> None:
        self._town = backend.alias_town
        self._actor = backend.actor
        self._live = backend.live
        self._references = References(Present(backend), town=backend.alias_town)
        self._writer = Writer(backend)

    def beads(
        self, path: Path | str, *, prune: bool = False, allow_empty: bool = False, backdate: datetime | None = None
    ) -> ImportReceipt:
        """Make the town as an export of the Beads tracker says, in one append; doing it again appends nothing.

        `prune` removes tasks with an alias that the file no longer has; of a file without issues that is refused, unless
        with `allow_empty`. `backdate` is recorded as the events' time.
        ImportRefusedError, BackdateRefusedError: nothing was written.
        """
        if backdate is not None and backdate > datetime.now(UTC):
            # Later events would all be dated no earlier: the town's clock would stand still until then.
            raise MomentError(f"{backdate.isoformat(timespec='seconds')}", "has not come yet")
        export = read_beads(Path(path), town=self._town, actor=self._actor)

        if prune and not export.wishes and not allow_empty:
            problem = (
                "the file has no issue, and --prune would remove every task that has an alias;"
                " --allow-empty says that the tracker was empty then"
            )
            raise ImportRefusedError(Path(path), [problem])

        def wishes() -> dict[str, WishedTask | None]:
            wished = export.wishes_of(self._references.ids_of_aliases(list(export.aliases.values())))
            if prune:
                present = self._live.page().tasks
                wished |= {task.id: None for task in present if task.alias is not None and task.id not in wished}
            return wished

        done = self._writer.reconcile(wishes, backdate=backdate)
        return ImportReceipt(
            tasks=sum(wish is not None for wish in export.wishes.values()),
            created=done.created,
            changed=done.changed,
            removed=done.removed,
            positions=done.positions,
            left_out=export.left_out,
            skipped=export.skipped,
            labels_trimmed=export.labels_trimmed,
            labels_dropped=export.labels_dropped,
        )
