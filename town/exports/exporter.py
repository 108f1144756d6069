"""Exporter: writes a town's events into a file or a pipe, batch by batch, in one of the formats."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from ledger import (
    BEGINNING,
    Chain,
    Position,
    RecordedEvent,
    SequenceGapError,
    StreamEntry,
    Task,
    decode_events,
    evolve_known,
    seq_of,
)
from projections import no_garbage_collection
from town.backend import Backend
from town.errors import ExportRefusedError, FolderRefusedError, in_one_line
from town.exports.facts import Step
from town.exports.ledger_file import FORMAT, FORMAT_VERSION, SAVED_FILE, Head, LedgerWriter
from town.files.compressed import compressing, plain_suffix
from town.files.os_errors import refuse_os_errors
from town.files.whole_file import open_whole
from town.reading.event_reader import EventReader
from town.reading.moment import Moment

# ruff: noqa: PLC0415 - only the format that is asked for is imported

_WHOLE_FILE_ADVICE: Final = "Name another file; `-` writes to a pipe."

Progress = Callable[[str, int, int], None]
"""Called with a word for the work, how much is done, and how much there is."""


class Format(StrEnum):
    """The format of an export."""

    JSONL = "jsonl"
    CSV = "csv"
    OCEL = "ocel"
    CLOUDEVENTS = "cloudevents"


class ExportReceipt(Struct, frozen=True):
    """The result of an export: how many events, the position of the last one (BEGINNING: none), and the size of a file."""

    format: Format
    events: int
    position: Position
    size_bytes: int | None = None


def format_of(path: Path) -> Format:
    """The format that a file's name asks for: CSV for `.csv`, JSON lines for any other."""
    return Format.CSV if plain_suffix(path).lower() == ".csv" else Format.JSONL


class Exporter:
    """Exports one town's events."""

    def __init__(self, backend: Backend, events: EventReader) -> None:
        self._backend = backend
        self._store = backend.store
        self._events = events

    def save(self, path: Path | None = None, *, progress: Progress | None = None) -> ExportReceipt:
        """Write the whole ledger into a file, None: `ledger.jsonl` in the town's folder. Errors as for `export`."""
        return self.export(self.saved_path(path), progress=progress)

    def saved_path(self, path: Path | None = None) -> Path:
        """The file that `save` writes: `path`, else that in the town's folder."""
        return self._backend.folder / SAVED_FILE if path is None else path

    @no_garbage_collection()
    def export(
        self,
        target: Path | BinaryIO,
        kind: Format = Format.JSONL,
        *,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
        task: str | None = None,
        progress: Progress | None = None,
    ) -> ExportReceipt:
        """Write the events from `since` to `until`, both in, of one `task` or all, to a file or an open pipe.

        A file gets its name when it is whole, and replaces an older one; an error leaves the older one as it was.
        A name with `.gz` or `.zst` compresses it. Events appended meanwhile are left out.
        ExportRefusedError, FolderRefusedError, MomentError, TaskNotFoundError, LedgerDamagedError. EventsLostError: a ledger that
        lacks what was acknowledged here replaces no file.
        """
        after, upto = self._events.range_of(since, until)
        task_id = None if task is None else self._events.id_of(task)
        work = _Work(self._backend, kind, after=after, upto=upto, task_id=task_id, progress=progress)
        if not isinstance(target, Path):
            return work.write(target)
        if target.exists():
            # It may be the backup that has what this ledger has lost.
            self._store.refuse_loss()
        with _whole_file(target) as file:
            with compressing(file, target) as plain:
                receipt = work.write(plain)
            file.flush()
            size_bytes = os.fstat(file.fileno()).st_size
        return ExportReceipt(receipt.format, receipt.events, receipt.position, size_bytes)


class _Work:
    """One run of an export."""

    def __init__(
        self,
        backend: Backend,
        kind: Format,
        *,
        after: Position,
        upto: Position,
        task_id: str | None,
        progress: Progress | None,
    ) -> None:
        self._store = backend.store
        self._town = backend.name
        self._kind = kind
        self._after = after
        self._upto = upto
        self._task_id = task_id
        self._progress = progress
        self._events = 0
        self._last = BEGINNING

    def write(self, file: BinaryIO) -> ExportReceipt:
        write = {
            Format.JSONL: self._write_ledger,
            Format.CSV: self._write_table,
            Format.OCEL: self._write_ocel,
            Format.CLOUDEVENTS: self._write_cloud_events,
        }[self._kind]
        write(file)
        return ExportReceipt(self._kind, self._events, self._last)

    def _write_ledger(self, file: BinaryIO) -> None:
        """Write the stored entries. A whole ledger is checked as an import will do it: now is better than when it is needed."""
        after = None if self._after == BEGINNING else str(self._after)
        head = Head(FORMAT, FORMAT_VERSION, self._town, after=after, task=self._task_id)
        writer = LedgerWriter(file, head)
        links = Chain()
        for entries in self._entries(self._after):
            if after is None:
                links.follow(entries)
            writer.write(self._wanted(entries, None if self._task_id is None else decode_events(entries))[0])
        writer.finish()

    def _write_cloud_events(self, file: BinaryIO) -> None:
        from town.exports.cloud_events import CloudEventsWriter

        writer = CloudEventsWriter(file, town=self._town)
        for entries in self._entries(self._after):
            writer.write(*self._wanted(entries, decode_events(entries)))

    def _write_table(self, file: BinaryIO) -> None:
        from town.exports.table import TableWriter

        TableWriter(file).write(step for step in self._steps(is_before_kept=False) if step.is_wanted)

    def _write_ocel(self, file: BinaryIO) -> None:
        from town.exports.ocel import OcelWriter

        with closing(OcelWriter(file, town=self._town)) as writer:
            for step in self._steps(is_before_kept=True):
                writer.add(step)
            writer.finish()

    def _entries(self, after: Position) -> Iterator[list[StreamEntry]]:
        """The stored entries after `after`, none missing. SequenceGapError."""
        seq = after.seq
        if self._upto <= after:
            return
        for entries in self._store.read_entries(after, upto=self._upto):
            # The two ends are enough; for a whole ledger the chain checks each entry.
            first, found = (seq_of(entries[index][0].decode("ascii")) for index in (0, -1))
            if (first, found) != (seq + 1, seq + len(entries)):
                raise _gap(entries, seq)
            seq = found
            if self._progress is not None:
                self._progress("Exporting", seq - after.seq, self._upto.seq - after.seq)
            yield entries
        if seq != self._upto.seq:
            raise SequenceGapError("last sequence number", self._upto, expected=self._upto.seq, found=seq)

    def _wanted(
        self, entries: list[StreamEntry], events: list[RecordedEvent] | None
    ) -> tuple[list[StreamEntry], list[RecordedEvent]]:
        """The entries of the task that is asked for; they are counted."""
        if self._task_id is not None and events is not None:
            pairs = [pair for pair in zip(entries, events, strict=True) if pair[1].task == self._task_id]
            entries, events = [entry for entry, _ in pairs], [recorded for _, recorded in pairs]
        if entries:
            self._events += len(entries)
            self._last = Position(entries[-1][0], "ascii")
        return entries, events or []

    def _steps(self, *, is_before_kept: bool) -> Iterator[Step]:
        """The events of the task that is asked for, or of all, folded from the ledger's beginning even for a part.

        A step is valid only until the next one. Without `is_before_kept` the event changes the task before it, too.
        """
        tasks: dict[str, Task] = {}
        for entries in self._entries(BEGINNING):
            for recorded in decode_events(entries):
                task_id = recorded.task
                if self._task_id not in (None, task_id):
                    continue
                before = tasks.get(task_id)
                kept = copy(before) if is_before_kept else before
                after = evolve_known(before, recorded)
                if after is not None:
                    tasks[task_id] = after
                elif before is not None:
                    del tasks[task_id]
                yield Step(recorded, kept, after, is_wanted=self._is_wanted(recorded))

    def _is_wanted(self, recorded: RecordedEvent) -> bool:
        """Whether it is in the part that is asked for; it is counted then."""
        if seq_of(recorded.at) <= self._after.seq:
            return False
        self._events += 1
        self._last = recorded.position
        return True


def _gap(entries: Sequence[StreamEntry], seq: int) -> SequenceGapError:
    """The error for the first entry that does not follow the one before it; the first follows number `seq`."""
    for expected, (position, _) in enumerate(entries, seq + 1):
        at = position.decode("ascii")
        if seq_of(at) != expected:
            return SequenceGapError("sequence number", at, expected=expected, found=seq_of(at))
    raise AssertionError("the two ends say that a number is missing")


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that gets the name `path` at the end. ExportRefusedError if that is not a regular file."""
    status: os.stat_result | None = None
    with refuse_os_errors(path), suppress(FileNotFoundError):
        status = path.lstat()
    if status is not None:
        name = in_one_line(path)
        if stat.S_ISLNK(status.st_mode):
            raise ExportRefusedError(
                f"{name} is a link, and an export does not write through links", _WHOLE_FILE_ADVICE
            )
        if not stat.S_ISREG(status.st_mode):
            raise ExportRefusedError(f"{name} is not a file", _WHOLE_FILE_ADVICE)
        if not os.access(path, os.W_OK):
            raise FolderRefusedError(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    try:
        with open_whole(path, like=status) as file:
            yield file
    except OSError as error:
        # Name the file that was asked for, not the new one beside it.
        raise FolderRefusedError(path, error) from error
