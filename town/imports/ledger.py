"""Imports a ledger's file: the same events at the same positions, byte for byte, so snapshots and every past moment are the same.

The file is read twice. The first time every line is checked, every event is decoded, folded and judged, and the town's own
events are compared with it; nothing is written before that is done. The second time what is missing is copied to the end.
An error or a crash while copying leaves a ledger that is whole up to some event, and the same import continues there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain as chained
from itertools import islice, zip_longest
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from msgspec import Struct

from ledger import UPGRADE_ADVICE, Chain, Copier, LedgerDamagedError, Position, StreamEntry, seq_of, task_id_of_alias
from projections import Audit, Finding, FindingKind, is_computed, no_garbage_collection
from town.backend import Backend
from town.errors import LEDGER_FILE_ADVICE, LedgerFileRefusedError, in_one_line
from town.exports.ledger_file import Head, LedgerLineError, LedgerReader
from town.files.compressed import CompressedDataError, unpacked
from town.files.os_errors import refuse_os_errors
from town.files.regular_file import open_regular

LEDGER_FILE_BYTES_MAX: Final = 8 * 1024 * 1024 * 1024
_SPOOL_BYTES: Final = 1024 * 1024
Source = Path | BinaryIO
"""The path of a file, or an open pipe."""
Progress = Callable[[str, int, int], None]
"""Called with a word for the work, how much is done, and how much there is."""


class LedgerReceipt(Struct, frozen=True):
    """The result of an import: the file's events, how many of them were appended, its tasks, and events that no command can make.

    `position` is that of the file's last event, BEGINNING if it has none.
    """

    events: int
    appended: int
    tasks: int
    position: Position
    damage: tuple[Finding, ...]


class _Judged(NamedTuple):
    """The result of the first reading. `digests` has the SHA-256 of all lines up to each batch."""

    receipt: LedgerReceipt
    digests: list[bytes]


class LedgerImporter:
    """Imports one file into one town."""

    def __init__(self, backend: Backend, source: Source, *, progress: Progress | None = None) -> None:
        self._backend = backend
        self._store = backend.store
        self._source = source
        self._path = source if isinstance(source, Path) else Path("-")
        self._name = in_one_line(source) if isinstance(source, Path) else "The ledger from the pipe"
        self._progress = progress
        self._size_bytes = 0
        self._has_appended = False

    @no_garbage_collection()
    def run(self) -> LedgerReceipt:
        """Append what the town does not have yet; it may be nothing. The next reader projects it.

        LedgerFileRefusedError, FolderRefusedError, LedgerDamagedError, OutdatedProjectionError: nothing was written. WrongExpectedEndError,
        StoreUnavailableError: a part may have been written; the same import continues there.
        """
        if (outdated := self._backend.upkeep.find_outdated()) is not None:
            # What is appended could not be projected.
            raise outdated
        with self._opened() as file:
            self._size_bytes = os.fstat(file.fileno()).st_size
            judged = self._judge(file)
            if judged.receipt.appended:
                file.seek(0)
                self._copy(file, judged)
        return judged.receipt

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The file, which can be read from its beginning more than once."""
        with ExitStack() as stack:
            if isinstance(self._source, Path):
                with refuse_os_errors(self._source):
                    yield stack.enter_context(open_regular(self._source))
                return
            yield stack.enter_context(self._spooled(self._source))

    @contextmanager
    def _spooled(self, pipe: BinaryIO) -> Iterator[BinaryIO]:
        """A temporary file with the content of the pipe."""
        from tempfile import TemporaryFile, gettempdir  # noqa: PLC0415 - only pipes need it

        size_bytes = 0
        with refuse_os_errors(Path(gettempdir())), TemporaryFile() as file:
            while block := pipe.read(_SPOOL_BYTES):
                size_bytes += len(block)
                if size_bytes > LEDGER_FILE_BYTES_MAX:
                    raise self._refuse(f"it has more than {LEDGER_FILE_BYTES_MAX:,} bytes")
                file.write(block)
            file.seek(0)
            yield file

    def _judge(self, file: BinaryIO) -> _Judged:
        """Read the whole file, and compare it with the town's events. Nothing is written."""
        links = Chain()
        audit = Audit(self._store)
        present = chained.from_iterable(self._store.read_entries())
        present_count = 0
        digests: list[bytes] = []
        with self._reading(file) as reader:
            self._check_head(reader.head)
            for batch in reader.batches():
                digests.append(reader.digest())
                try:
                    links.follow(batch)
                except LedgerDamagedError as error:
                    raise self._refuse_event(str(error), links.position.seq + 1) from error
                # Only after the chain: a missing line would look like another ledger.
                present_count += self._compare(present, batch)
                audit.take(batch)
                if not audit.is_readable:
                    finding = next(each for each in reversed(audit.findings) if each.kind is FindingKind.EVENT)
                    raise self._refuse_event(finding.problem, seq_of(finding.where))
                self._show("Checking", file.tell(), self._size_bytes)
        self._check_names(reader.head, audit)
        if present_count < links.position.seq and (lost := self._store.lost_at_end()) is not None:
            raise lost
        receipt = LedgerReceipt(
            events=links.position.seq,
            appended=links.position.seq - present_count,
            tasks=len(audit.board.tasks),
            position=links.position,
            damage=tuple(audit.findings),
        )
        return _Judged(receipt, digests)

    def _copy(self, file: BinaryIO, judged: _Judged) -> None:
        """Read the file again, and append what follows the town's end."""
        links = Chain()
        copier = Copier(
            self._backend.client,
            self._backend.keys,
            chain=links,
            where=self._backend.where,
            receipts=self._backend.receipts,
        )
        with self._reading(file) as reader:
            copier.copy_batches(self._missing(reader, links, judged))
        # A backup may be older than what this machine was told last, and that is still to be missed.
        self._backend.receipts.renew()
        self._store.end()
        self._backend.acks.confirm(judged.receipt.position)

    def _missing(self, reader: LedgerReader, links: Chain, judged: _Judged) -> Iterator[list[StreamEntry]]:
        """The entries that the town does not have, as they were judged. `links` follows those that it has."""
        known_count = judged.receipt.events - judged.receipt.appended
        passed_count = 0
        for digest, batch in zip_longest(judged.digests, reader.batches()):
            if batch is None or reader.digest() != digest:
                raise self._refuse(
                    "another program changed it while it was read", advice="Import a file that does not change."
                )
            known = batch[: max(known_count - passed_count, 0)]
            links.follow(known)
            passed_count += len(batch)
            if len(known) < len(batch):
                yield batch[len(known) :]
                self._has_appended = True
                self._show("Appending", passed_count - known_count, judged.receipt.appended)

    @contextmanager
    def _reading(self, file: BinaryIO) -> Iterator[LedgerReader]:
        """A reader of the file, whose errors name it."""
        try:
            with unpacked(file, self._path) as plain:
                yield LedgerReader(_Bounded(plain))
        except LedgerLineError as error:
            raise self._refuse(error.problem, line=error.number, advice=error.advice) from error
        except (CompressedDataError, _TooLargeError) as error:
            raise self._refuse(str(error)) from error

    def _check_head(self, head: Head) -> None:
        if not head.is_whole:
            part = f"of task {head.task}" if head.task is not None else f"after {head.after}"
            raise self._refuse(
                f"it has only the events {part}",
                line=1,
                advice="An import needs a ledger from its first event: export without --since and --task.",
            )

    def _compare(self, present: Iterator[StreamEntry], batch: list[StreamEntry]) -> int:
        """How many entries of the batch the town has. LedgerFileRefusedError if one of them differs."""
        count = 0
        for (have_position, have_fields), (position, fields) in zip(islice(present, len(batch)), batch, strict=False):
            if have_position != position or have_fields[1:] != fields[1:]:
                at, other = position.decode(), have_position.decode(errors="replace")
                problem = (
                    f"its event at {at} differs from the town's event there"
                    if at == other
                    else f"its event at {at} is where the town has the event at {other}"
                )
                raise self._refuse(
                    problem,
                    line=seq_of(at) + 1,
                    advice="The town and the file differ from there on: import into a new town.",
                )
            count += 1
        return count

    def _check_names(self, head: Head, audit: Audit) -> None:
        """Check that aliases lead to their tasks here, too: such an id is computed from a town's name, this one's or `aliases_of`."""
        known_as = self._backend.alias_town
        named = next((task for task in audit.board.tasks.values() if task.alias and is_computed(task.id)), None)
        if named is None or task_id_of_alias(known_as, str(named.alias)) == named.id:
            return
        where = (
            f'aliases_of = "{head.town}"'
            if task_id_of_alias(head.town, str(named.alias)) == named.id
            else "the aliases_of of the other town's tinytown.toml"
        )
        raise self._refuse(
            f"it is from a town with the name {head.town!r}, and this one knows tasks by the name {known_as!r}:"
            f" a task with an alias, such as {named.alias!r}, would not be found",
            advice=f"Make a new town in an empty folder, write {where} under [town] in its tinytown.toml, and import there.",
        )

    def _refuse_event(self, words: str, number: int) -> LedgerFileRefusedError:
        """The error for event `number`. `words` are those for a damaged ledger; their advice does not fit a file."""
        problem = words.partition(". ")[0].rstrip(".")
        return self._refuse(problem, line=number + 1, advice=UPGRADE_ADVICE if UPGRADE_ADVICE in words else None)

    def _refuse(self, problem: str, *, line: int | None = None, advice: str | None = None) -> LedgerFileRefusedError:
        return LedgerFileRefusedError(
            self._name,
            problem,
            line=line,
            advice=advice or LEDGER_FILE_ADVICE,
            is_partly_imported=self._has_appended,
        )

    def _show(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)


class _TooLargeError(Exception):
    """The unpacked file is larger than allowed."""


class _Bounded:
    """A file that is read up to the limit of a file; the size of what is unpacked is not known before."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = LEDGER_FILE_BYTES_MAX

    def readline(self, limit: int, /) -> bytes:
        line = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise _TooLargeError(f"it has more than {LEDGER_FILE_BYTES_MAX:,} bytes")
        return line
