"""The embedded server's append-only files, read without a server: the manifest, the files it names, the commands in them.

Somebody else may have written all of this, so this code trusts nothing: it follows no link, takes no name that leads
out of the folder, and bounds sizes and counts. Reading a file differently than the server does would be a hole. So it
accepts only the exact form that a server writes; anything else is damage.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, Self

from msgspec import Struct

from town.errors import FileDamagedError
from town.files.os_errors import refuse_os_errors

AOF_FOLDER: Final = "appendonlydir"
MANIFEST_FILE: Final = "appendonly.aof.manifest"
SINGLE_FILE: Final = "appendonly.aof"
"""In `.tt` itself: the single file of servers before version 7. A newer server takes it over if it has no manifest."""
MANIFEST_BYTES_MAX: Final = 1_048_576
FILES_MAX: Final = 1_000
ARGUMENTS_COUNT_MAX: Final = 1_048_576
ARGUMENT_BYTES_MAX: Final = 536_870_912
"""The longest that a server takes by default; a longer one is damage."""
ARGUMENT_KEPT_BYTES_MAX: Final = 16_777_216
COMMAND_KEPT_BYTES_MAX: Final = 67_108_864
"""Of longer arguments and commands, the reader keeps the beginning and skips the rest."""
BINARY_PROBLEM: Final = "is in the server's binary format (RDB), which is not read here"
_WINDOW_BYTES: Final = 1_048_576
_HEADER_BYTES_MAX: Final = 32
_TS_LINE: Final = re.compile(rb"#TS:[0-9]{1,20}\r\n")
_TS_BYTES_MAX: Final = 26
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,9}|0")
_COUNTS: Final = {b"*%d" % number: number for number in range(1, 1_024)}
_LENGTHS: Final = {b"$%d" % number: number for number in range(8_192)}
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MANIFEST_LINE: Final = re.compile(r"file (\S+) seq ([1-9][0-9]{0,17}) type ([bih])")
_RDB_MAGICS: Final = (b"REDIS", b"VALKEY")


class AofKind(StrEnum):
    """The kind of a file of the manifest, by the manifest's letters."""

    BASE = "b"
    INCREMENT = "i"
    HISTORY = "h"
    """Merged into a later base. The server is about to delete it and does not read it."""


class AofFile(Struct, frozen=True):
    """A line of the manifest."""

    name: str
    seq: int
    kind: AofKind

    def __str__(self) -> str:
        return f"file {self.name} seq {self.seq} type {self.kind}"


class AofDamage(Struct, frozen=True):
    """Where and why reading of a file stops: at the first byte of what is not an intact command."""

    file: str
    offset: int
    problem: str
    is_cut_short: bool = False
    """Whether the file ends inside a command, as after a power cut, with nothing behind it."""


class AofCommand(NamedTuple):
    """An intact command, and where it begins. Its name is the first argument; very long arguments are shortened."""

    offset: int
    arguments: list[bytes]

    @property
    def name(self) -> bytes:
        return self.arguments[0].upper()


class AofFolder:
    """The append-only files of a town's data folder, opened without following a link. FileDamagedError, FolderRefusedError."""

    def __init__(self, data: Path) -> None:
        self.path = data / AOF_FOLDER
        self._data = data
        self._folders: list[int] = []
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with _links_refused(data):
                self._folders.append(os.open(data, flags))
            with _links_refused(self.path), contextlib.suppress(FileNotFoundError):
                self._folders.append(os.open(AOF_FOLDER, flags, dir_fd=self._folders[0]))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.pop())

    @property
    def is_there(self) -> bool:
        """Whether the folder of append-only files exists: a town that was never started has none."""
        return len(self._folders) == 2

    def has_manifest(self) -> bool:
        return self.is_there and MANIFEST_FILE in self.names()

    def names(self) -> list[str]:
        """Every name in the folder, sorted; empty without a folder. FileDamagedError if there are too many."""
        if not self.is_there:
            return []
        with refuse_os_errors(self.path):
            names = sorted(os.listdir(self._folders[1]))  # noqa: PTH208 - by descriptor, so that no link is followed
        if len(names) > FILES_MAX:
            raise FileDamagedError(self.path, f"it holds {len(names):,} files, and {FILES_MAX:,} are read")
        return names

    def read_manifest(self) -> list[AofFile]:
        """The files of the manifest, in the order in which the server reads them: base first. FileDamagedError."""
        path = self.path / MANIFEST_FILE
        with self.opened(MANIFEST_FILE) as descriptor, refuse_os_errors(path):
            content = _read(descriptor, 0, MANIFEST_BYTES_MAX + 1)
        if len(content) > MANIFEST_BYTES_MAX:
            raise FileDamagedError(path, f"it is longer than {MANIFEST_BYTES_MAX:,} bytes")
        return _parse_manifest(path, content)

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Open a file of the folder for reading, as a descriptor. FileDamagedError if it is not a regular file."""
        if not is_file_name(name) or not self.is_there:
            raise FileDamagedError(self.path / MANIFEST_FILE, f"it names the file {name!r}, which cannot be there")
        with _opened(self._folders[1], name, self.path / name) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def opened_single(self) -> Iterator[int | None]:
        """Open the single file of an older server, as a descriptor; None if there is none."""
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(_opened(self._folders[0], SINGLE_FILE, self._data / SINGLE_FILE))
            except FileDamagedError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                yield None
                return
            yield descriptor


class CommandReader:
    """The commands in an append-only file in order, from `start` up to its end or to damage.

    It holds a bounded part of the file at a time. After the last command, `damage` says why it stopped, None at the
    file's end, and `end` is the offset behind the last intact command. `is_rdb` is known from the start: such a file is
    only recognised, not read.
    """

    def __init__(self, descriptor: int, name: str, *, start: int = 0, upto: int | None = None) -> None:
        self.name = name
        self.end = start
        self.damage: AofDamage | None = None
        self._descriptor = descriptor
        size = os.fstat(descriptor).st_size
        self.size = size if upto is None else min(size, upto)
        self.is_rdb = start == 0 and _read(descriptor, 0, 6).startswith(_RDB_MAGICS)

    def __iter__(self) -> Iterator[AofCommand]:
        if self.is_rdb:
            self._stop(BINARY_PROBLEM)
            return
        while self.end < self.size:
            base = self.end
            window = _read(self._descriptor, base, min(_WINDOW_BYTES, self.size - base))
            yield from self._read_window(window, base)
            if self.end == base:
                # A command that does not fit into a window, the file's end within one, or damage.
                command = self._read_long(base)
                if command is None:
                    return
                yield command

    def _read_window(self, window: bytes, base: int) -> Iterator[AofCommand]:  # noqa: C901 - a call for each argument takes twice the time
        """The intact commands in `window`, which begins at `base`, up to one that is damaged or longer than the window:

        `_read_long` decides which.
        """
        find, get_count, get_length, length_window = window.find, _COUNTS.get, _LENGTHS.get, len(window)
        at = 0
        while at < length_window:
            begin = at
            line_end = find(b"\r\n", at, at + _HEADER_BYTES_MAX)
            header = window[at:line_end]
            count = get_count(header) if line_end >= 0 else None
            if count is None:
                if window[at] == 0x23 and length_window - at >= _TS_BYTES_MAX:
                    line = _TS_LINE.match(window, at)
                    if line is None:
                        return
                    at = line.end()
                    self.end = base + at
                    continue
                count = _number(header, b"*") if line_end >= 0 else None
                if count is None or not 0 < count <= ARGUMENTS_COUNT_MAX:
                    return
            at = line_end + 2
            arguments: list[bytes] = []
            for _ in range(count):
                line_end = find(b"\r\n", at, at + _HEADER_BYTES_MAX)
                if line_end < 0:
                    return
                length = get_length(window[at:line_end])
                if length is None:
                    length = _number(window[at:line_end], b"$")
                    if length is None or length > ARGUMENT_BYTES_MAX:
                        return
                first = line_end + 2
                at = first + length
                if window[at : at + 2] != b"\r\n":
                    return
                arguments.append(window[first:at])
                at += 2
            self.end = base + at
            yield AofCommand(base + begin, arguments)

    def _read_long(self, begin: int) -> AofCommand | None:
        """The command at `begin`, read from the file header by header. None if there is none; then `damage` says why."""
        header = self._header(begin)
        if header.startswith(b"#"):
            return self._read_annotation(begin)
        count = _number(header.partition(b"\r\n")[0], b"*") if b"\r\n" in header else None
        if count is None or not 0 < count <= ARGUMENTS_COUNT_MAX:
            return self._refuse(begin, begin, header, rb"\*([1-9][0-9]*)?\r?", "no command begins here")
        at = begin + header.index(b"\r\n") + 2
        arguments: list[bytes] = []
        kept = 0
        for _ in range(count):
            header = self._header(at)
            length = _number(header.partition(b"\r\n")[0], b"$") if b"\r\n" in header else None
            if length is None or length > ARGUMENT_BYTES_MAX:
                return self._refuse(begin, at, header, rb"(\$([0-9]+)?\r?)?", "no length of an argument stands here")
            at += header.index(b"\r\n") + 2
            if at + length + 2 > self.size:
                tail = b"" if at + length >= self.size else _read(self._descriptor, at + length, 1)
                return self._refuse(begin, at + length, tail, rb"\r?", "an argument does not end here")
            keeping = min(length, ARGUMENT_KEPT_BYTES_MAX, COMMAND_KEPT_BYTES_MAX - kept)
            arguments.append(_read(self._descriptor, at, keeping))
            kept += keeping
            at += length
            if _read(self._descriptor, at, 2) != b"\r\n":
                return self._refuse(begin, at, b"", rb".+", "an argument does not end here")
            at += 2
        self.end = at
        return AofCommand(begin, arguments)

    def _read_annotation(self, begin: int) -> AofCommand | None:
        """Skip the annotation line at `begin`, and read what follows it."""
        line = _TS_LINE.match(_read(self._descriptor, begin, min(_TS_BYTES_MAX, self.size - begin)))
        if line is None:
            header = self._header(begin)
            return self._refuse(
                begin, begin, header, rb"#(T(S(:[0-9]*\r?)?)?)?", "is not an annotation that a server writes"
            )
        self.end = begin + line.end()
        return self._read_long(self.end) if self.end < self.size else None

    def _header(self, at: int) -> bytes:
        return _read(self._descriptor, at, max(min(_HEADER_BYTES_MAX, self.size - at), 0))

    def _refuse(self, begin: int, at: int, found: bytes, beginning: bytes, problem: str) -> AofCommand | None:
        """Stop at the command at `begin`.

        It is cut short if the bytes `found` at `at`, up to the file's end, can be the start of what belongs there.
        """
        is_at_end = at + len(found) >= self.size and len(found) < _HEADER_BYTES_MAX
        is_cut_short = is_at_end and re.fullmatch(beginning, found) is not None
        words = "the file ends within a command" if is_cut_short else problem
        self.damage = AofDamage(self.name, begin, words, is_cut_short)
        return None

    def _stop(self, problem: str) -> None:
        self.damage = AofDamage(self.name, self.end, problem)


def has_lost_manifest(data: Path) -> bool:
    """Whether the folder has files with content but no manifest: a server would begin an empty town beside them."""
    folder = data / AOF_FOLDER
    with refuse_os_errors(folder):
        if not folder.is_dir() or (folder / MANIFEST_FILE).exists():
            return False
        return any(each.stat().st_size for each in folder.glob(f"{SINGLE_FILE}.*") if not each.is_symlink())


def is_file_name(name: str) -> bool:
    """Whether a file of the folder may have this name: a bare name of plain characters."""
    return _FILE_NAME.fullmatch(name) is not None


def _parse_manifest(path: Path, content: bytes) -> list[AofFile]:
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FileDamagedError(path, f"it has a byte that is not plain text at {error.start}") from error
    if lines.pop() or not lines:
        raise FileDamagedError(path, "it is empty" if not content else "its last line is not whole")
    if len(lines) > FILES_MAX:
        raise FileDamagedError(path, f"it lists {len(lines):,} files, and {FILES_MAX:,} are read")
    files: list[AofFile] = []
    for number, line in enumerate(lines, start=1):
        found = _MANIFEST_LINE.fullmatch(line)
        if found is None or not is_file_name(found[1]):
            raise FileDamagedError(path, f"line {number} is not `file NAME seq NUMBER type b, i or h`")
        files.append(AofFile(found[1], int(found[2]), AofKind(found[3])))
    bases = [each for each in files if each.kind is AofKind.BASE]
    increments = [each for each in files if each.kind is AofKind.INCREMENT]
    if len(bases) > 1:
        raise FileDamagedError(path, "it lists more than one base file")
    if any(one.seq >= other.seq for one, other in pairwise(increments)):
        raise FileDamagedError(path, "the numbers of its files do not go up")
    return [*bases, *increments, *(each for each in files if each.kind is AofKind.HISTORY)]


def _number(header: bytes, sign: bytes) -> int | None:
    """The number in `*3` or `$42`, in the only form that a server writes; None in any other form."""
    if header[:1] != sign or not _NUMBER.fullmatch(header, 1):
        return None
    return int(header[1:])


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`, or as many as there are."""
    content = os.pread(descriptor, length, offset)
    while len(content) < length:
        more = os.pread(descriptor, length - len(content), offset + len(content))
        if not more:
            break
        content += more
    return content


@contextlib.contextmanager
def _opened(folder: int, name: str, path: Path) -> Iterator[int]:
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _links_refused(path):
        try:
            descriptor = os.open(name, flags, dir_fd=folder)
        except FileNotFoundError as error:
            raise FileDamagedError(path, "it is missing") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileDamagedError(path, "it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _links_refused(path: Path) -> Iterator[None]:
    """Turn the system's refusals into errors of ours: FileDamagedError for a link, FolderRefusedError for others."""
    with refuse_os_errors(path):
        try:
            yield
        except OSError as error:
            # Linux reports ENOTDIR for a link that is opened as a folder.
            if error.errno in (errno.ELOOP, errno.EMLINK) or (error.errno == errno.ENOTDIR and path.is_symlink()):
                raise FileDamagedError(path, "it is a link") from error
            if error.errno == errno.ENXIO:
                raise FileDamagedError(path, "it is not a regular file") from error
            raise
