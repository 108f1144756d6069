"""Files that are compressed by their name: `.gz` and `.zst`; any other name means plain bytes.

Zstandard is in the standard library since Python 3.14, and comes as `backports.zstd` before. It is imported by who uses it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

if TYPE_CHECKING:
    from pathlib import PurePath

# ruff: noqa: PLC0415 - each is imported by who uses it

SUFFIXES: Final = frozenset({".gz", ".zst"})
_READ_BYTES: Final = 1024 * 1024


class CompressedDataError(Exception):
    """What was read is not what its name says, or not all of it. The message is the problem, in words."""


def plain_suffix(path: PurePath) -> str:
    """The end of the name that says what is in it: `.csv` of `tasks.csv.gz`."""
    return (path.with_suffix("") if path.suffix in SUFFIXES else path).suffix


@contextmanager
def compressing(file: BinaryIO, path: PurePath) -> Iterator[BinaryIO]:
    """Inside, what is written goes into `file` as the name at `path` says. The same bytes give the same file."""
    if path.suffix == ".gz":
        import gzip

        # Neither the name nor the time of writing, so that two exports of one ledger are equal.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield cast("BinaryIO", packed)
    elif path.suffix == ".zst":
        module = zstd()
        with module.ZstdFile(file, mode="w", options={module.CompressionParameter.checksum_flag: 1}) as packed:
            yield packed
    else:
        yield file


@contextmanager
def unpacked(file: BinaryIO, path: PurePath) -> Iterator[BinaryIO]:
    """Inside, the bytes of `file` as they were before they were compressed; nothing is unpacked before it is read.

    CompressedDataError where they are not what the name says, or end too early.
    """
    if path.suffix == ".gz":
        import gzip
        import zlib

        errors: tuple[type[Exception], ...] = (gzip.BadGzipFile, EOFError, zlib.error)
        kind, stream = "gzip", cast("io.RawIOBase", gzip.GzipFile(fileobj=file, mode="rb"))
    elif path.suffix == ".zst":
        module = zstd()
        errors = (module.ZstdError, EOFError)
        kind, stream = "Zstandard", cast("io.RawIOBase", module.ZstdFile(file, mode="r"))
    else:
        yield file
        return
    try:
        yield cast("BinaryIO", io.BufferedReader(stream, _READ_BYTES))
    except errors as error:
        raise CompressedDataError(f"it is not whole {kind} data, as its name says: {error}") from error


def zstd() -> Any:  # noqa: ANN401 - one of two modules of the same names
    """Zstandard's module, wherever this Python has it."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module
