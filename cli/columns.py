"""How many columns of a terminal a text takes, as Rich has it. Pure."""

from __future__ import annotations

from typing import Final

_ICONS: Final = "⏳📌🔄✅❌🚫"
"""Two columns each."""
_COMMON: Final = dict.fromkeys([*range(0xA1, 0xAD), *range(0xAE, 0x300), *map(ord, f"–—‘’“”…→⏎·├└─│█{_ICONS}")])
"""What nearly every table is made of, beside ASCII. All other characters are for Rich's tables, which take long to import."""


def columns(text: str) -> int:
    """The columns that `text` takes; it is visible, in one line."""
    if text.isascii():
        return len(text)
    if text.translate(_COMMON).isascii():
        return len(text) + sum(map(text.count, _ICONS))
    from rich.cells import cell_len  # noqa: PLC0415 - said above

    return cell_len(text)
