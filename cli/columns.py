"""How many terminal columns a text takes, as Rich counts them. Pure."""

from __future__ import annotations

from typing import Final

_ICONS: Final = "⏳📌🔄✅❌🚫"
"""Two columns each."""
_COMMON: Final = dict.fromkeys([*range(0xA1, 0xAD), *range(0xAE, 0x300), *map(ord, f"–—‘’“”…→⏎·├└─│█{_ICONS}")])
"""The characters beyond ASCII that most tables are made of. Rich knows all others, and is slow to import."""


def columns(text: str) -> int:
    """The columns that `text` takes. It is one line, with hidden characters written out."""
    if text.isascii():
        return len(text)
    if text.translate(_COMMON).isascii():
        return len(text) + sum(map(text.count, _ICONS))
    from rich.cells import cell_len  # noqa: PLC0415 - slow to import

    return cell_len(text)
