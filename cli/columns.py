"""Terminal columns: how many a text takes, as Rich counts them, and how text is made to fit. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_ICONS: Final = "⏳📌🔄✅❌🚫"
"""Two columns each."""
_COMMON: Final = dict.fromkeys([*range(0xA1, 0xAD), *range(0xAE, 0x300), *map(ord, f"–—‘’“”…→⏎·├└─│█▒{_ICONS}")])
"""The characters beyond ASCII that most tables are made of. Rich knows all others, and is slow to import."""


def columns(text: str) -> int:
    """The columns that `text` takes. It is one line, with hidden characters written out."""
    if text.isascii():
        return len(text)
    if text.translate(_COMMON).isascii():
        return len(text) + sum(map(text.count, _ICONS))
    from rich.cells import cell_len  # noqa: PLC0415 - slow to import

    return cell_len(text)


def cut(text: str, room: int) -> str:
    """The text in at most `room` columns, at least 1; … stands for what was cut off."""
    if columns(text) <= room:
        return text
    while columns(text) >= room:
        text = text[: -max((columns(text) - room) // 2, 1)]
    return f"{text}…"


def wrapped(words: Iterable[str], room: int, *, between: str = " ") -> list[str]:
    """The words, as many in a line as `room` has columns for, and at least one. `between` stays at a line's end but for its blanks."""
    lines: list[str] = []
    for word in words:
        if lines and columns(f"{lines[-1]}{between}{word}") <= room - len(between.rstrip()):
            lines[-1] += between + word
        else:
            lines.append(word)
    return [f"{line}{between.rstrip()}" for line in lines[:-1]] + lines[-1:]
