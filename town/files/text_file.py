"""Reads a text from a file that a person names, or from a stream, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from ledger import TEXT_BYTES_MAX
from town.errors import TextUnreadableError
from town.files.regular_file import open_regular

_LINE_BREAK_BYTES: Final = 2
"""How many bytes of line breaks at its end a text of the greatest length may have."""
_BYTE_ORDER_MARK: Final = "\ufeff"


def read_text_file(path: Path) -> str:
    """The text in a regular file, without the line breaks at its end. TextUnreadableError."""
    try:
        with open_regular(path) as file:
            return read_text(file, str(path))
    except OSError as error:
        raise TextUnreadableError(str(path), error.strerror or str(error)) from error


def read_text(stream: BinaryIO, name: str) -> str:
    """The text in a stream, which messages call `name`, without the line breaks at its end. TextUnreadableError.

    The mark that some programs write before UTF-8 is no part of it.
    """
    bytes_max = TEXT_BYTES_MAX + _LINE_BREAK_BYTES
    try:
        # One byte more shows that there is more, so that nothing is cut.
        content = stream.read(bytes_max + 1)
    except OSError as error:
        raise TextUnreadableError(name, error.strerror or str(error)) from error
    if len(content) > bytes_max or len(content.rstrip(b"\r\n")) > TEXT_BYTES_MAX:
        raise TextUnreadableError(name, f"it has more than {TEXT_BYTES_MAX:,} bytes")
    try:
        return content.decode().removeprefix(_BYTE_ORDER_MARK).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise TextUnreadableError(name, f"byte {error.start:,} is not UTF-8") from error
