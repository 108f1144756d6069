"""The reader of what `tt` prints. One that stops reading early, as `head` does, is not an error."""

from __future__ import annotations

import io
import select
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_GONE: Final = select.POLLERR | select.POLLHUP


def until_reader_goes(stream: TextIO) -> TextIO:
    """Wrap the stream so that writes after its reader has gone are dropped; other errors are raised as before.

    So the command runs to its end and keeps its exit code. A stream without a file descriptor is returned as it is.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        descriptor = stream.fileno()
    except OSError:
        return stream
    is_buffered = isinstance(stream.buffer, io.BufferedWriter)
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(descriptor, "wb", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or not is_buffered,
    )


def bytes_until_reader_goes(descriptor: int) -> BinaryIO:
    """A writer of bytes that does the same. Closing it leaves the descriptor open."""
    return io.BufferedWriter(_Pipe(descriptor, "wb", closefd=False))


def is_reader_gone(stream: TextIO) -> bool:
    """Whether the reader of the stream has gone. Source: poll."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & _GONE for _, events in poll.poll(0))


class _Pipe(io.FileIO):
    """A file that drops what is written once its reader has gone."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(data).nbytes
