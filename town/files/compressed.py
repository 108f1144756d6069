"""Files compressed as their names say: `.gz` and `.zst`; any other name means plain bytes.

Zstandard is in the standard library since Python 3.14; before, it is `backports.zstd`. It is imported only for such a file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

if TYPE_CHECKING:
    from pathlib import PurePath

# ruff: noqa: PLC0415 - each is imported for a file of its kind only

SUFFIXES: Final = frozenset({".gz", ".zst"})
_READ_BYTES: Final = 1024 * 1024


class CompressedDataError(Exception):
    """The data is not of the kind that the name says, or it was cut short. The message is the problem, in words."""


def plain_suffix(path: PurePath) -> str:
    """The suffix without that of a compression: `.csv` of `tasks.csv.gz`."""
    return (path.with_suffix("") if path.suffix in SUFFIXES else path).suffix


@contextmanager
def compressing(file: BinaryIO, path: PurePath) -> Iterator[BinaryIO]:
    """A file whose content goes to `file`, compressed as the name of `path` says. The same bytes give the same file."""
    if path.suffix == ".gz":
        import gzip

        # Without the name and the time of writing: two exports of one ledger are equal.
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
    """The content of `file` before it was compressed; nothing is unpacked before it is read.

    CompressedDataError if the data is not of the kind that the name says, or was cut short.
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
        raise CompressedDataError(
            f"the name says {kind}, and the data is damaged, cut short or of another kind: {error}"
        ) from error


def zstd() -> Any:  # noqa: ANN401 - one of two modules of the same names
    """Zstandard's module of this Python."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module
