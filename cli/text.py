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
BAR_COLUMNS: Final = 20
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
    try:
        return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        # At either end of the calendar, another zone may have no such time.
        return f"{time:%Y-%m-%d %H:%M:%S}"


def event_number(position: Position) -> str:
    return f"{position.seq}"


def counted(number: int, noun: str) -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(ms: int) -> str:
    """`850 ms`, `12 s`, `3 m 20 s`, `5 h 10 m`, `2 d 4 h`: two units at most."""
    if ms < 1_000:
        return f"{ms} ms"
    seconds = round(ms / 1_000)
    for size, unit, rest_size, rest_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // rest_size
            return f"{seconds // size} {unit} {rest} {rest_unit}" if rest else f"{seconds // size} {unit}"
    return f"{seconds} s"


def bar(number: int, longest: int, *, width: int = BAR_COLUMNS) -> str:
    """A bar as long as `number` is beside `longest`."""
    return "█" * (0 if not longest else max(round(width * number / longest), 1 if number else 0))


def _visible_char(char: str) -> str:
    if char == "\n" or char in _JOINERS or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
