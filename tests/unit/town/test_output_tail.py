"""What is kept of a program's output: the last line and the end, bounded, and fit for the ledger."""

from __future__ import annotations

import pytest

from ledger import check_text
from town.agents.output_tail import LastLine, Tail, fitting_text

BYTES_MAX = 20


def last_line(*pieces: bytes, bytes_max: int = BYTES_MAX) -> str | None:
    kept = LastLine(bytes_max=bytes_max)
    for piece in pieces:
        kept.feed(piece)
    return kept.text()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((), None),
        ((b"\n\n",), None),
        ((b"one\ntwo\n",), "two"),
        ((b"one\ntwo",), "two"),
        ((b"one\ntwo\n\n  \n",), "two"),
        ((b"one\nt", b"w", b"o\n"), "two"),
        ((b"one\n", b"\n", b"\r\n"), "one"),
        ((b"10 %\r20 %\rdone\n",), "done"),
        ((b"  indented \n",), "indented"),
        ((b"bad \xff\xfe byte\n",), "bad �� byte"),
        ((b"a\0b\n",), "a�b"),
        ((b"half \xe2\x9c", b"\x85\n"), "half ✅"),
        ((b"one\n", b"   "), "one"),
    ],
)
def test_last_line_is_the_last_that_holds_something(pieces: tuple[bytes, ...], expected: str | None) -> None:
    """However the output comes in pieces; what is no UTF-8, and NUL, is replaced."""
    assert last_line(*pieces) == expected


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_line_that_is_too_long_keeps_its_end(ending: bytes) -> None:
    """It says that it was cut, and fits."""
    text = last_line(*[b"x" * 7] * 100, b"end", ending)
    assert text is not None
    assert text.startswith("… x")
    assert text.endswith("xend")
    assert len(text.encode()) <= BYTES_MAX


def test_line_without_an_end_is_kept_bounded() -> None:
    """Output that never breaks a line does not grow the memory that holds it."""
    kept = LastLine(bytes_max=BYTES_MAX)
    for _ in range(1_000):
        kept.feed(b"x" * 1_000)
        assert len(kept._open) <= BYTES_MAX + 1


def test_text_fits_the_ledger_whatever_was_printed() -> None:
    """Replaced bytes are longer than they were, and still no text is too long or invalid."""
    for printed in (b"\xff" * 70_000, b"\0" * 70_000, "✅".encode() * 30_000, bytes(range(256)) * 300):
        text = fitting_text(printed, bytes_max=65_536)
        assert text is not None
        check_text(text, "result")


def test_tail_keeps_the_last_bytes() -> None:
    """Neither more nor less, and the text tells where something is missing."""
    tail = Tail(bytes_max=10)
    for piece in (b"0123", b"4567", b"89ab"):
        tail.feed(piece)
    assert tail.kept() == b"23456789ab"
    assert tail.text() == "… 6789ab"
