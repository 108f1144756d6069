"""The gate: everything that `tt` prints passes through it, so that no text can control the terminal.

It replaces stdout and stderr, so nothing can go round it: output of libraries, warnings and tracebacks pass through it
too. It writes out hidden characters, as `visible` does. Only `styled`, which takes what Rich has rendered, lets colours and
the cursor movements of a progress bar through; the text in them was made visible before it was rendered.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

from cli.reader import bytes_until_reader_goes, until_reader_goes
from cli.text import visible

_STYLES: Final = re.compile(r"(\x1b\[(?:[0-9;]*[mAK]|\?25[hl])|\r)")
"""Colours, and the few cursor movements that draw a progress bar."""


class _Styled:
    """A stream for Rich: colours and cursor movements pass unchanged, all other text is made visible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return _attribute(self._stream, name)

    def write(self, text: str) -> int:
        if _is_plain(text):
            return self._stream.write(text)
        # The styles are at the odd indexes.
        pieces = _STYLES.split(text)
        self._stream.write("".join(piece if index % 2 else _let_through(piece) for index, piece in enumerate(pieces)))
        return len(text)


class _Gate:
    """A stream whose text is made visible. It has no `buffer`: bytes do not pass."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Rich asks for an attribute of this name, and writes there what it has rendered.
        self.rich_proxied_file = _Styled(stream)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return _attribute(self._stream, name)

    def write(self, text: str) -> int:
        self._stream.write(_let_through(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)


def close_gate() -> None:
    """From now on, everything that is printed passes through the gate."""
    # The caller may have closed a stream; its output then goes nowhere.
    sys.stdout = _gated(sys.stdout or open(os.devnull, "w"))  # noqa: PTH123, SIM115 - for as long as the program runs
    sys.stderr = _gated(sys.stderr or open(os.devnull, "w"))  # noqa: PTH123, SIM115


@contextmanager
def stdout_to_pager(descriptor: int) -> Iterator[None]:
    """Inside, what is printed passes through the gate to a pager, which shows it on the terminal; at the end it is flushed."""
    stdout = sys.stdout
    writer = bytes_until_reader_goes(descriptor)
    sys.stdout = cast("TextIO", _Gate(_ToPager(writer, encoding="utf-8", errors="backslashreplace")))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = stdout


class _ToPager(io.TextIOWrapper):
    """A stream to a pager, which is a terminal for those who write to it."""

    def isatty(self) -> bool:
        return True


def styled(stream: TextIO) -> TextIO:
    """The stream that takes what Rich has rendered for `stream`. A progress bar may have wrapped the gate."""
    for _ in range(2):
        stream = getattr(stream, "rich_proxied_file", stream)
    return stream


def _gated(stream: TextIO) -> TextIO:
    if isinstance(stream, _Gate):
        return stream
    if isinstance(stream, io.TextIOWrapper):
        # A terminal with a small character set gets escapes for the others, instead of an error after the work is done.
        stream.reconfigure(errors="backslashreplace")
        stream = until_reader_goes(stream)
    return cast("TextIO", _Gate(stream))


def _attribute(stream: TextIO, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
    if name in ("buffer", "detach"):
        raise AttributeError(name)
    return getattr(stream, name)


def _let_through(text: str) -> str:
    return text if _is_plain(text) else visible(text, is_multiline=True, keeps_tabs=True)


def _is_plain(text: str) -> bool:
    return text.replace("\n", "").isprintable()
