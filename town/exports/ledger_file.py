"""The file of a ledger: JSON lines, one event per line, byte for byte as it is stored, with its position.

The first line says what the file is. The last one has the number of events and the SHA-256 of all lines before it. Each
event's line has its own checksum, so that an error names the line that was changed. The same ledger gives the same bytes, and
a longer one the same lines and more: so the file is fit for git.
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
_FOREIGN_PROBLEM: Final = "it is not the first line of a ledger's file"
_FOREIGN_ADVICE: Final = "Name a jsonl file that `tt export` or `tt save` wrote; unpack what goes into a pipe."
_FIELD: Final = b"event"
_LINE: Final = re.compile(
    rb'\{"position":"((?:0|[1-9][0-9]{0,19})-[1-9][0-9]{0,19})","crc32":"([0-9a-f]{8})","event":(\{[^\n]*\})\}\n'
)
_END: Final = re.compile(rb'\{"events":(0|[1-9][0-9]{0,19}),"sha256":"([0-9a-f]{64})"\}\n')


class Head(Struct, frozen=True, omit_defaults=True):
    """The first line. Of a part of a ledger, `after` is the position before its first event, `task` its only task."""

    format: str
    version: int
    town: str
    after: str | None = None
    task: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the file has all events from the ledger's first one on."""
        return self.after is None and self.task is None


class Lines(Protocol):
    """A file to read lines from."""

    def readline(self, limit: int, /) -> bytes: ...


class LedgerLineError(Exception):
    """A line is invalid. `problem` is in words that follow "line 7:"; `advice` is None for that of a damaged file."""

    def __init__(self, number: int, problem: str, advice: str | None = None) -> None:
        self.number = number
        self.problem = problem
        self.advice = advice
        super().__init__(f"line {number}: {problem}")


class LedgerWriter:
    """Writes a ledger, or a part of one, into `file`."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._file = file
        self._digest = sha256()
        self.events = 0
        self._write(msgspec.json.encode(head) + b"\n")

    def write(self, entries: Sequence[StreamEntry]) -> None:
        """Write the entries that come next. ExportRefusedError if a line would be too long to be read again."""
        lines = [
            b'{"position":"%s","crc32":"%08x","event":%s}\n' % (position, _checksum(position, payload), payload)
            for position, (_, payload) in entries
        ]
        if max(map(len, lines), default=0) > LEDGER_LINE_BYTES_MAX:
            problem = (
                f"an event from {entries[0][0].decode()} on needs a line of more than {LEDGER_LINE_BYTES_MAX:,} bytes"
            )
            raise ExportRefusedError(problem, "Stop the server, and copy the town's data folder instead.")
        self._write(b"".join(lines))
        self.events += len(lines)

    def finish(self) -> None:
        """Write the last line."""
        self._file.write(b'{"events":%d,"sha256":"%s"}\n' % (self.events, self._digest.hexdigest().encode()))

    def _write(self, lines: bytes) -> None:
        self._digest.update(lines)
        self._file.write(lines)


class LedgerReader:
    """Reads such a file once, from its beginning, and checks each line. LedgerLineError.

    A line's checksum shows that it was changed; the last line covers all lines together. The reader does not check whether
    events follow each other, or what they mean.
    """

    def __init__(self, file: Lines) -> None:
        self._file = file
        self._digest = sha256()
        self._line = 1
        self.head = self._read_head()

    def batches(self) -> Iterator[list[StreamEntry]]:
        """The entries in order, 1 to LEDGER_BATCH_EVENTS at a time. It ends after a last line that is right."""
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
                    # Before the last line is checked: an event in a wrong place says more than a wrong count.
                    yield batch
                batch, lines, size_bytes = [], [], 0
            if found is None:
                self._check_end(line)
                return
            position, checksum, payload = found.groups()
            if crc32(payload, crc32(position)) != int(checksum, 16):
                raise LedgerLineError(self._line, "it was changed: its checksum does not fit")
            batch.append((position, [_FIELD, payload]))
            lines.append(line)
            size_bytes += len(line)

    def digest(self) -> bytes:
        """The SHA-256 of all lines up to the last batch."""
        return self._digest.copy().digest()

    def _read_head(self) -> Head:
        line = self._file.readline(LEDGER_LINE_BYTES_MAX + 1)
        try:
            head = msgspec.json.decode(line, type=Head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise LedgerLineError(1, _FOREIGN_PROBLEM, _FOREIGN_ADVICE) from error
        if head.format != FORMAT:
            raise LedgerLineError(1, _FOREIGN_PROBLEM, _FOREIGN_ADVICE)
        if head.version != FORMAT_VERSION:
            problem = f"the file has version {head.version}, and this program reads version {FORMAT_VERSION}: upgrade with `pip install -U`"
            raise LedgerLineError(1, problem)
        if msgspec.json.encode(head) + b"\n" != line:
            raise LedgerLineError(1, "it was changed: an export does not write such a line")
        self._digest.update(line)
        return head

    def _next(self) -> bytes:
        """The next line. LedgerLineError if there is none, or only a part of it."""
        line = self._file.readline(LEDGER_LINE_BYTES_MAX + 1)
        self._line += 1
        if not line:
            problem = "the last line, which has the number of events, is missing: the file was cut short"
            raise LedgerLineError(self._line, problem)
        if not line.endswith(b"\n"):
            problem = (
                f"it has more than {LEDGER_LINE_BYTES_MAX:,} bytes"
                if len(line) > LEDGER_LINE_BYTES_MAX
                else "it has no line break: the file was cut short"
            )
            raise LedgerLineError(self._line, problem)
        return line

    def _check_end(self, line: bytes) -> None:
        """Check that this is the last line, that it is right, and that nothing follows it."""
        found = _END.fullmatch(line)
        if found is None:
            raise LedgerLineError(self._line, "it is not a line of a ledger's file")
        count = self._line - 2
        if int(found[1]) != count:
            problem = f"it says that the file has {int(found[1]):,} events, and it has {count:,}"
            raise LedgerLineError(self._line, problem)
        if found[2].decode() != self._digest.hexdigest():
            raise LedgerLineError(self._line, "its SHA-256 does not fit the lines before it: a line was changed")
        if self._file.readline(1):
            raise LedgerLineError(self._line + 1, "it follows the last line")


def _checksum(position: bytes, payload: bytes) -> int:
    """CRC-32 of the position followed by the event. It shows accidents; the last line shows the rest."""
    return crc32(payload, crc32(position))
