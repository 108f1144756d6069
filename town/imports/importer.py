"""Importer: brings a ledger's file into a town as it is, and another tracker's export as events of the town."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ledger import (
    DesiredTask,
    Event,
    Position,
    RecordedEvent,
    State,
    Task,
    TaskDamagedError,
    TaskNoted,
    from_ms,
    to_ms,
)
from town.backend import Backend
from town.errors import ImportRefusedError, MomentError
from town.imports.beads import BeadsExport, read_beads
from town.imports.beads_issue import ImportedNote
from town.imports.quarantine import set_aside
from town.linking import Circles
from town.reading.local_zone import local_time
from town.reading.present import Present
from town.reading.references import References
from town.writer import Decided, Decisions, Writer, reconcile_all

if TYPE_CHECKING:
    from town.imports.ledger import LedgerReceipt, Progress, Source


class ImportReceipt(Struct, frozen=True):
    """The result of an import: its tasks by what happened to them, its events, and what became nothing.

    `left_out` are the parents that were left out, and `links_left_out` the other links. `skipped` counts the lines of each
    kind other than issues, `no_place` the issues with each field that became nothing, and `texts_cut` names the texts that
    were too long. `bad_lines` are the lines that were skipped as bad; `set_aside` is the file that has them.
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
    links_left_out: tuple[str, ...] = ()
    no_place: Mapping[str, int] = {}
    texts_cut: tuple[str, ...] = ()
    bad_lines: tuple[str, ...] = ()
    set_aside: Path | None = None


class Importer:
    """Imports files into one town."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._town = backend.alias_town
        self._actor = backend.actor
        self._live = backend.live
        self._references = References(Present(backend), town=backend.alias_town)
        self._writer = Writer(backend)
        self._circles = Circles(backend)

    def beads(
        self,
        path: Path | str,
        *,
        prune: bool = False,
        allow_empty: bool = False,
        backdate: datetime | None = None,
        statuses: Mapping[str, State] = {},
        skip_bad: bool = False,
    ) -> ImportReceipt:
        """Bring the town to the state of an export of the Beads tracker, in one append.

        Repeating it appends nothing. `prune` removes tasks with an alias that the file no longer has. With a file
        without issues it is refused, unless `allow_empty` is set. `backdate` is recorded as the events' time. `statuses` has
        the states of statuses that Beads does not have. `skip_bad` sets bad lines aside in a file beside this one.
        ImportRefusedError, BackdateRefusedError, CircularNeedsError: nothing was written into the town.
        """
        if backdate is not None and backdate > datetime.now(UTC):
            # No later event can have an earlier time: the town's clock would stand still until then.
            raise MomentError(local_time(backdate), "has not come yet", "Give a time that has.")
        file = Path(path)
        export = read_beads(file, town=self._town, actor=self._actor, statuses=statuses, skips_bad=skip_bad)
        if prune:
            _refuse_pruning(file, export, allow_empty=allow_empty)
        place = set_aside(file, export.bad) if export.bad else None
        made, positions = self._writer.carry_out(lambda: self._decide(export, prune=prune), backdate=backdate)
        return ImportReceipt(
            tasks=sum(target is not None for target in export.desired.values()),
            created=made.created,
            changed=made.changed,
            removed=made.removed,
            positions=positions,
            left_out=export.left_out,
            skipped=export.skipped,
            labels_trimmed=export.labels_trimmed,
            labels_dropped=export.labels_dropped,
            links_left_out=export.links_left_out,
            no_place=export.no_place,
            texts_cut=export.texts_cut,
            bad_lines=tuple(f"line {each.number}: {each.problem}" for each in export.bad),
            set_aside=place,
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

    def _decide(self, export: BeadsExport, *, prune: bool) -> Decisions:
        """What leads the town to the export, and the comments that it does not have yet. CircularNeedsError."""
        ids = self._references.ids_of_aliases(list(export.aliases.values()))
        desired = export.desired_of(ids)
        if prune:
            present = self._live.page().tasks
            desired |= {task.id: None for task in present if task.alias is not None and task.id not in desired}
        basis = self._circles.basis()
        states = dict(zip(desired, self._writer.loader.load_many(list(desired)), strict=True))
        desired |= _with_their_agents(desired, states, [ids[export.aliases[task_id]] for task_id in export.unnamed])
        decided = reconcile_all(states, desired)
        needed_basis = self._circles.check(decided, desired, states, basis=basis)
        notes = {ids[export.aliases[task_id]]: found for task_id, found in export.notes.items()}
        decided, occurred = _with_notes(decided, self._missing_notes(notes, states), states)
        return Decisions(decided, basis=needed_basis, occurred=occurred)

    def _missing_notes(
        self, notes: Mapping[str, tuple[ImportedNote, ...]], states: Mapping[str, tuple[Task | None, int]]
    ) -> dict[str, list[ImportedNote]]:
        """The notes that are not in the histories of their tasks."""
        store = self._backend.store
        ends = {task_id: task.at for task_id in notes if (task := states[task_id][0]) is not None}
        histories = store.histories_upto(ends) if ends else {}
        missing: dict[str, list[ImportedNote]] = {}
        for task_id, wanted in notes.items():
            task, version = states[task_id]
            # The history of a removed task goes on where the task is made again.
            history = histories.get(task_id) or (store.history(task_id) if version else [])
            if found := _not_among(wanted, history):
                if task is not None and task.damaged_at is not None:
                    raise TaskDamagedError(task_id, task.damaged_at)
                missing[task_id] = found
        return missing


def _refuse_pruning(path: Path, export: BeadsExport, *, allow_empty: bool) -> None:
    """ImportRefusedError if the file does not say which tasks are gone."""
    if export.bad:
        line = export.bad[0]
        problem = (
            f"line {line.number}: {line.problem}; --prune would remove the tasks of the"
            f" lines that --skip-bad leaves out ({len(export.bad):,}): import without --prune"
        )
        raise ImportRefusedError(path, [problem])
    if not export.desired and not allow_empty:
        problem = (
            "the file has no issue, and --prune would remove every task that has an alias;"
            " --allow-empty says that the tracker was empty then"
        )
        raise ImportRefusedError(path, [problem])


def _with_their_agents(
    desired: Mapping[str, DesiredTask | None], states: Mapping[str, tuple[Task | None, int]], unnamed: Iterable[str]
) -> dict[str, DesiredTask | None]:
    """Those of the `unnamed` tasks that an agent has in the town, with this agent: the file does not say that it is another one."""
    found: dict[str, DesiredTask | None] = {}
    for task_id in unnamed:
        target, task = desired[task_id], states[task_id][0]
        if target is not None and task is not None and task.holder is not None:
            found[task_id] = msgspec.structs.replace(target, agent=task.holder)
    return found


def _not_among(notes: tuple[ImportedNote, ...], history: list[RecordedEvent]) -> list[ImportedNote]:
    """The notes that a task's history does not have; one that is there twice has to be there twice."""
    there = Counter(
        ImportedNote(recorded.data.text, None if recorded.occurred_at is None else to_ms(recorded.occurred_at))
        for recorded in history
        if isinstance(recorded.data, TaskNoted)
    )
    missing: list[ImportedNote] = []
    for note in notes:
        if there[note]:
            there[note] -= 1
        else:
            missing.append(note)
    return missing


def _with_notes(
    decided: tuple[Decided, ...],
    notes: Mapping[str, list[ImportedNote]],
    states: Mapping[str, tuple[Task | None, int]],
) -> tuple[tuple[Decided, ...], dict[tuple[str, int], datetime]]:
    """The decisions with the notes at the end of each task's events, and when the notes were made. Tasks with notes alone come
    first, so that removals stay last.
    """
    own = {task_id for task_id, _, _ in decided}
    occurred: dict[tuple[str, int], datetime] = {}
    events: dict[str, list[Event]] = {task_id: [] for task_id in notes if task_id not in own}
    events |= {task_id: [*found] for task_id, _, found in decided}
    for task_id, found in notes.items():
        for note in found:
            events[task_id].append(TaskNoted(note.text))
            if note.at_ms is not None:
                occurred[(task_id, states[task_id][1] + len(events[task_id]))] = from_ms(note.at_ms)
    return tuple((task_id, states[task_id][1], found) for task_id, found in events.items()), occurred
