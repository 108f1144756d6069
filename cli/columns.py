"""How many columns of a terminal a text takes, as Rich has it. Pure."""

from __future__ import annotations

import re
from typing import Final

_ICONS: Final = "⏳📌🔄✅❌🚫"
"""Two columns each."""
_COMMON: Final = re.compile(rf"[ -~\xa1-\xac\xae-\u02ff–—‘’“”…→⏎·├└─│█{_ICONS}]*")
"""What nearly every table is made of. Everything else is for Rich's tables of all characters, which take long to import."""


def columns(text: str) -> int:
    """The columns that `text` takes; it is visible, in one line."""
    if text.isascii():
        return len(text)
    if _COMMON.fullmatch(text):
        return len(text) + sum(map(text.count, _ICONS))
    from rich.cells import cell_len  # noqa: PLC0415 - said above

    return cell_len(text)
