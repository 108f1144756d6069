"""Reads a text from a file that a person names, or from a stream, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ledger import TEXT_BYTES_MAX
from town.errors import TextUnreadableError
from town.files.regular_file import open_regular


def read_text_file(path: Path) -> str:
    """The text in a regular file, without the line breaks at its end. TextUnreadableError."""
    try:
        with open_regular(path) as file:
            return read_text(file, str(path))
    except OSError as error:
        raise TextUnreadableError(str(path), error.strerror or str(error)) from error


def read_text(stream: BinaryIO, name: str) -> str:
    """The text in a stream, which messages call `name`, without the line breaks at its end. TextUnreadableError."""
    content = stream.read(TEXT_BYTES_MAX + 2)
    if len(content.rstrip(b"\r\n")) > TEXT_BYTES_MAX:
        raise TextUnreadableError(name, f"it has more than {TEXT_BYTES_MAX:,} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise TextUnreadableError(name, f"byte {error.start:,} is not UTF-8") from error
