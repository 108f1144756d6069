"""What memory keeps of a program's output: its last line and its last bytes.

Both are bounded, whatever the program prints.
"""

from __future__ import annotations

from typing import Final

from ledger import TEXT_BYTES_MAX

STDERR_BYTES_MAX: Final = 8 * 1024
_CUT: Final = "… "
_CUT_BYTES: Final = len(_CUT.encode())


class LastLine:
    """The last line that is not blank, of a stream fed in pieces. Keeps the end of a line that is too long."""

    def __init__(self, *, bytes_max: int = TEXT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._last = b""
        self._open = bytearray()

    def feed(self, piece: bytes) -> None:
        # On a terminal a carriage return starts the line again, so here it ends a line.
        head, separator, rest = piece.replace(b"\r", b"\n").rpartition(b"\n")
        if separator:
            lines = (bytes(self._open) + head).rstrip()
            if lines:
                self._last = lines[lines.rfind(b"\n") + 1 :][-self._bytes_max - 1 :]
            self._open.clear()
        self._open += rest
        # One byte more than fits tells that something was cut.
        del self._open[: -self._bytes_max - 1]

    def text(self) -> str | None:
        """The line as a text that the ledger takes; None where nothing was printed."""
        return fitting_text(bytes(self._open), bytes_max=self._bytes_max) or fitting_text(
            self._last, bytes_max=self._bytes_max
        )


class Tail:
    """The last `bytes_max` bytes of a stream fed in pieces."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept = bytearray()

    def feed(self, piece: bytes) -> None:
        self._kept += piece
        # One byte more than fits tells that something was cut.
        del self._kept[: -self._bytes_max - 1]

    def kept(self) -> bytes:
        return bytes(self._kept[-self._bytes_max :])

    def text(self) -> str | None:
        """The tail as a text that the ledger takes; None where nothing was printed."""
        return fitting_text(bytes(self._kept), bytes_max=self._bytes_max)


def fitting_text(printed: bytes, *, bytes_max: int) -> str | None:
    """The output as stripped text of at most `bytes_max`, cut at its start. Invalid UTF-8 and NUL are replaced."""
    text = printed.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    encoded = text.encode()
    if len(encoded) > bytes_max:
        text = _CUT + encoded[len(encoded) - bytes_max + _CUT_BYTES :].decode(errors="ignore")
    return text or None
