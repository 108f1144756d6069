"""Text that is safe and pleasant on a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
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
ASKING: Final = "❓"
SHORT_ID_CHARS: Final = 8
TEXT_CHARS_SHOWN: Final = 500
"""How much is shown of a text that is not what was asked for; `--json` has all of it."""
TITLE_CHARS_SHOWN: Final = 200
"""How much of a description where it stands for its task."""
_HIDDEN: Final = (
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""Unicode's Cc, Cf, Cs, Zl and Zp, but for the line break and the two joiners that scripts and emoji are spelled with.

They are listed here, because asking for the category of each character takes many times as long.
"""


def visible(text: str, *, is_multiline: bool = False, keeps_tabs: bool = False) -> str:
    """`text` with every control, escape and direction character written out, so that a terminal cannot obey it.

    Line breaks stay in multi-line text and become ⏎ in a line of a table. What is visible already stays as it is.
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if not is_multiline:
        text = text.replace("\n", " ⏎ ")
    if text.replace("\n", "").isprintable():
        return text
    return _hidden().sub(_written_with_tab if keeps_tabs else _written, text)


def json_visible(text: str) -> str:
    """JSON in one line with the same characters written out as JSON writes them, so that a program reads the same values."""
    return text if text.isprintable() else _hidden().sub(_written_in_json, text)


def short_id(task_id: str) -> str:
    return task_id[:SHORT_ID_CHARS]


def called(task_id: str, alias: str | None) -> str:
    """The name of a task for people: its alias, else the beginning of its id."""
    return visible(short_id(task_id) if alias is None else alias)


def icon_of(task: Task) -> str:
    """The icon of a task's state, or of a question where it waits for an answer."""
    return ASKING if task.has_open_question else ICONS[task.state]


def name_of(task: Task) -> str:
    """The same of a task that is at hand."""
    return called(task.id, task.alias)


def name_and_title(task: Task) -> str:
    """`map  Draw the map`, for the head of what is said of a task."""
    return f"{name_of(task)}  {short_title(task)}"


def short_title(task: Task) -> str:
    """What a task is about, in a line that is not too long."""
    return shortened(visible(task.title), TITLE_CHARS_SHOWN)


def question_words(question: str, choices: Sequence[str]) -> str:
    """A question with the numbers of its choices: `Which colour? (1 red, 2 blue)`."""
    return f"{question} ({choices_words(choices)})" if choices else question


def choices_words(choices: Sequence[str]) -> str:
    """`1 red, 2 blue`: an answer may be the number."""
    return ", ".join(f"{number} {choice}" for number, choice in enumerate(choices, 1))


def event_number(position: Position) -> str:
    return f"{position.seq}"


def shortened(text: str, chars_max: int) -> str:
    """The text, or its beginning and how much more there is of it."""
    return text if len(text) <= chars_max else f"{text[:chars_max]}… ({len(text) - chars_max:,} more characters)"


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


@cache
def _hidden() -> re.Pattern[str]:
    # Compiled when a text first needs it: that takes as long as everything else here.
    return re.compile(_HIDDEN)


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _written_with_tab(found: re.Match[str]) -> str:
    return "\t" if found[0] == "\t" else _written(found)


def _written_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
