"""The file of a ledger: JSON lines, an event a line, byte for byte as it is stored, with its position.

The first line says what the file is, the last one how many events there are, and the SHA-256 of all lines before it. Each
event's line has a checksum of its own, so that a changed line is named and not only noticed. The same ledger gives the same
bytes, and a ledger that has grown gives the same lines and further ones: so the file is fit for git.
`docs/reference/export-files.md` has the format, `docs/decisions/0031` the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import BinaryIO, Final, Protocol
from zlib import crc32

import msgspec
from msgspec import Struct

from ledger import StreamEntry
from town.errors import ExportRefusedError

SAVED_FILE: Final = "ledger.jsonl"
"""What `tt save` writes and `tt restore` reads, in the town's folder."""
FORMAT: Final = "tinytown-ledger"
FORMAT_VERSION: Final = 1
LEDGER_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
LEDGER_BATCH_EVENTS: Final = 1_000
LEDGER_BATCH_BYTES: Final = 8 * 1024 * 1024
_FIELD: Final = b"event"
_LINE: Final = re.compile(
    rb'\{"position":"((?:0|[1-9][0-9]{0,19})-[1-9][0-9]{0,19})","crc32":"([0-9a-f]{8})","event":(\{[^\n]*\})\}\n'
)
_END: Final = re.compile(rb'\{"events":(0|[1-9][0-9]{0,19}),"sha256":"([0-9a-f]{64})"\}\n')


class Head(Struct, frozen=True, omit_defaults=True):
    """The first line. `after` is the position that a part of a ledger begins after, `task` the one task that it is of."""

    format: str
    version: int
    town: str
    after: str | None = None
    task: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the file begins with the ledger's first event, and has every one after it."""
        return self.after is None and self.task is None


class Lines(Protocol):
    """What is read."""

    def readline(self, limit: int, /) -> bytes: ...


class LedgerLineError(Exception):
    """A line is not as it should be. `problem` is said in words that follow "line 7:"."""

    def __init__(self, number: int, problem: str) -> None:
        self.number = number
        self.problem = problem
        super().__init__(f"line {number}: {problem}")


class LedgerWriter:
    """Writes one ledger, or a part of one, into `file`."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._file = file
        self._digest = sha256()
        self.events = 0
        self._write(msgspec.json.encode(head) + b"\n")

    def write(self, entries: Sequence[StreamEntry]) -> None:
        """Write the entries that come next. ExportRefusedError where a line would be longer than is read again."""
        lines = [
            b'{"position":"%s","crc32":"%08x","event":%s}\n' % (position, _checksum(position, payload), payload)
            for position, (_, payload) in entries
        ]
        if max(map(len, lines), default=0) > LEDGER_LINE_BYTES_MAX:
            problem = f"an event among those from {entries[0][0].decode()} on is too long for a line, which has at most {LEDGER_LINE_BYTES_MAX:,} bytes"
            raise ExportRefusedError(
                problem, "Copy the folder of the town's data in its place, while its server is stopped."
            )
        self._write(b"".join(lines))
        self.events += len(lines)

    def finish(self) -> None:
        """Write the last line."""
        self._file.write(b'{"events":%d,"sha256":"%s"}\n' % (self.events, self._digest.hexdigest().encode()))

    def _write(self, lines: bytes) -> None:
        self._digest.update(lines)
        self._file.write(lines)


class LedgerReader:
    """Reads such a file once, from its beginning; each line is looked at as it comes. LedgerLineError.

    A changed line is told by its checksum, and all lines together by the last one. Whether events follow each other, and what
    they mean, is for others to judge.
    """

    def __init__(self, file: Lines) -> None:
        self._file = file
        self._digest = sha256()
        self._line = 1
        self.head = self._read_head()

    def batches(self) -> Iterator[list[StreamEntry]]:
        """The entries in order, 1 to LEDGER_BATCH_EVENTS at a time; it ends where the last line was there, and was right."""
        batch: list[StreamEntry] = []
        lines: list[bytes] = []
        size_bytes = 0
        match = _LINE.fullmatch
        while True:
            line = self._next()
            found = match(line)
            if found is None or len(batch) == LEDGER_BATCH_EVENTS or size_bytes > LEDGER_BATCH_BYTES:
                self._digest.update(b"".join(lines))
                if batch:
                    # Before the last line is looked at: an event that is out of its place tells more than the count does.
                    yield batch
                batch, lines, size_bytes = [], [], 0
            if found is None:
                self._check_end(line)
                return
            position, checksum, payload = found.groups()
            if crc32(payload, crc32(position)) != int(checksum, 16):
                raise LedgerLineError(self._line, "it was changed: its checksum is another")
            batch.append((position, [_FIELD, payload]))
            lines.append(line)
            size_bytes += len(line)

    def digest(self) -> bytes:
        """What all lines come to, as far as the last batch."""
        return self._digest.copy().digest()

    def _read_head(self) -> Head:
        line = self._file.readline(LEDGER_LINE_BYTES_MAX + 1)
        try:
            head = msgspec.json.decode(line, type=Head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise LedgerLineError(1, "it does not say that this is a ledger's file") from error
        if head.format != FORMAT:
            raise LedgerLineError(1, "it does not say that this is a ledger's file")
        if head.version != FORMAT_VERSION:
            problem = f"the file is of version {head.version}, and version {FORMAT_VERSION} is known: upgrade with `pip install -U`"
            raise LedgerLineError(1, problem)
        if msgspec.json.encode(head) + b"\n" != line:
            raise LedgerLineError(1, "it was changed: an export does not write it so")
        self._digest.update(line)
        return head

    def _next(self) -> bytes:
        """The next line, whole. LedgerLineError where there is none, or a part of one."""
        line = self._file.readline(LEDGER_LINE_BYTES_MAX + 1)
        self._line += 1
        if not line:
            problem = "the file ends before its last line, which says how many events there are: it was cut short"
            raise LedgerLineError(self._line, problem)
        if not line.endswith(b"\n"):
            problem = (
                f"it has more than {LEDGER_LINE_BYTES_MAX:,} bytes"
                if len(line) > LEDGER_LINE_BYTES_MAX
                else "it has no end: the file was cut short"
            )
            raise LedgerLineError(self._line, problem)
        return line

    def _check_end(self, line: bytes) -> None:
        """That this is the last line, that it is right, and that nothing comes after it."""
        found = _END.fullmatch(line)
        if found is None:
            raise LedgerLineError(self._line, "it is no line of a ledger's file")
        count = self._line - 2
        if int(found[1]) != count:
            problem = f"it says that {int(found[1]):,} events come before it, and {count:,} do"
            raise LedgerLineError(self._line, problem)
        if found[2].decode() != self._digest.hexdigest():
            raise LedgerLineError(self._line, "its SHA-256 is not that of the lines before it: some line was changed")
        if self._file.readline(1):
            raise LedgerLineError(self._line + 1, "it comes after the last line")


def _checksum(position: bytes, payload: bytes) -> int:
    """CRC-32 of the position and the event right after it: it tells accidents; the last line tells the rest."""
    return crc32(payload, crc32(position))
