"""Text that is safe and pleasant on a terminal. Pure."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

from ledger import Position, State, Task

ICONS: Final = {
    State.PENDING: "⏳",
    State.ASSIGNED: "📌",
    State.RUNNING: "🔄",
    State.COMPLETED: "✅",
    State.FAILED: "❌",
    State.CANCELLED: "🚫",
}
SHORT_ID_CHARS: Final = 8
_JOINERS: Final = "\u200c\u200d"
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, *, is_multiline: bool = False) -> str:
    """`text` with every control, escape and direction character written out, so that a terminal cannot obey it.

    Line breaks stay in multi-line text and become ⏎ in a line of a table.
    """
    text = text.replace("\r\n", "\n")
    if not is_multiline:
        text = text.replace("\n", " ⏎ ")
    return "".join(_visible_char(char) for char in text)


def short_id(task: str) -> str:
    return task[:SHORT_ID_CHARS]


def name_of(task: Task) -> str:
    """What people call a task by: its alias, else the beginning of its id."""
    return visible(task.alias) if task.alias is not None else short_id(task.id)


def local_time(time: datetime) -> str:
    """`2026-11-23 17:33:02` in the person's zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def event_number(position: Position) -> str:
    return f"{position.seq}"


def counted(number: int, noun: str) -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _visible_char(char: str) -> str:
    if char == "\n" or char in _JOINERS or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
