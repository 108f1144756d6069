"""The text of a command: from its argument, from stdin, or from a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from cli.exits import UsageError
from cli.output import tell

if TYPE_CHECKING:
    from pathlib import Path

STDIN: Final = "-"


def text_of(text: str | None, file: Path | None = None) -> str:
    """The text that was given: itself, that of stdin for `-`, or that of a file. UsageError, TextUnreadableError."""
    if (text is None) == (file is None):
        message = (
            "Give a TEXT, - to read it from stdin, or --file." if text is None else "Give either a TEXT or --file."
        )
        raise UsageError(message)
    if file is None and text != STDIN:
        assert text is not None
        return text
    from town import read_text, read_text_file  # noqa: PLC0415 - most texts are arguments

    if file is not None:
        return read_text_file(file)
    if sys.stdin is None:
        message = "Stdin is closed. Give a TEXT or --file."
        raise UsageError(message)
    if sys.stdin.isatty():
        tell("Type the text. Ctrl-D on a line of its own ends it.")
    return read_text(sys.stdin.buffer, "stdin")
