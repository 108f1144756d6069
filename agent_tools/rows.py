"""The JSON that agents read, as small as it can be: short names, and no field that is empty. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ledger import FIELDS, PRIORITY_DEFAULT, RecordedEvent, State, Task, Unfit, format_ms

Row = dict[str, Any]

SHORT_ID_CHARS: Final = 8
TITLE_CHARS: Final = 120
TEXT_CHARS: Final = 4_000
"""How much of a text stands in an answer. The resource of the task has all of it."""
LIST_ITEMS: Final = 50
"""How many links of a kind, tags, and blockers stand in an answer. The resource has all of them."""
EVENT_TEXT_CHARS: Final = 300
_JOINERS: Final = "\u200c\u200d"
"""Scripts and emoji are spelled with these two, which are not printable."""
_LEFT_OUT: Final = frozenset({"created_number", "updated_at", "position", "asked_at"})
"""What stands elsewhere in the answer, or helps no agent."""


def json_text(value: object) -> str:
    """JSON in one line, with hidden characters written out as JSON does."""
    text = msgspec.json.encode(value).decode()
    return text if text.isprintable() else "".join(map(_visible, text))


def plain_text(text: str) -> str:
    """The text with hidden characters written out as in JSON; line ends stay."""
    return "\n".join("".join(map(_visible, line)) for line in text.split("\n"))


def _visible(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def task_name(task_id: str, alias: str | None = None) -> str:
    """How an agent names a task."""
    return alias or task_id[:SHORT_ID_CHARS]


def cut(text: str, chars_max: int) -> str:
    """The text, or its beginning and how much more there is of it."""
    return text if len(text) <= chars_max else f"{text[:chars_max]}… ({len(text) - chars_max:,} more characters)"


def without_empty(row: Row) -> Row:
    """The row without None, False, and empty texts and lists. A number stays, also 0, which is the highest priority."""
    return {key: value for key, value in row.items() if value or type(value) is int}


def task_row(task: Task) -> Row:
    """A task in a list. A pending task has no state in it, and one of the usual priority no priority."""
    return without_empty(
        {
            "task": task_name(task.id, task.alias),
            "title": cut(task.title, TITLE_CHARS),
            "state": None if task.state is State.PENDING else task.state,
            "agent": task.holder,
            "tags": task.tags,
            "due": None if task.due_ms is None else format_ms(task.due_ms),
            "asks": cut(task.question or "", TITLE_CHARS) if task.has_open_question else None,
            "damaged": task.damaged_at is not None,
        }
    ) | ({} if task.priority == PRIORITY_DEFAULT else {"priority": task.priority})


def first_of(name: str, items: Sequence[Any], *, is_whole: bool = False) -> Row:
    """A list under its name: its first items, and `more_` with the name where there are more."""
    if is_whole or len(items) <= LIST_ITEMS:
        return {name: items}
    return {name: items[:LIST_ITEMS], f"more_{name}": True}


def task_whole(task: Task, *, names: Mapping[str, str], chars_max: int | None = TEXT_CHARS) -> Row:
    """Every field of a task that is not empty; without `chars_max`, texts and lists are whole.

    `names` has the names of the tasks that it is linked to, by id.
    """
    row: Row = {}
    for field in FIELDS:
        value = getattr(task, field.attribute)
        if value == field.empty or value in ((), "") or field.name in _LEFT_OUT:
            continue
        if field.form == "time":
            value = format_ms(value)
        elif isinstance(value, tuple):
            row |= first_of(field.name, [names.get(each, each) for each in value], is_whole=chars_max is None)
            continue
        elif field.name == "parent_id":
            value = names.get(value, value)
        elif isinstance(value, str) and chars_max is not None:
            value = cut(value, chars_max)
        row[field.name] = value
    return row


def event_row(recorded: RecordedEvent, *, name: str | None) -> Row:
    """An event: its number, what happened and when, who caused it, and its facts."""
    data = recorded.data.content if isinstance(recorded.data, Unfit) else msgspec.to_builtins(recorded.data)
    facts = {key: _short(value) for key, value in data.items()} if isinstance(data, dict) else {"data": data}
    return without_empty(
        {
            "n": recorded.position.seq,
            "time": format_ms(recorded.position.ms),
            "event": recorded.type,
            "task": name,
            "by": recorded.actor,
            "reason": None if recorded.reason is None else _short(recorded.reason),
            "facts": without_empty(facts),
        }
    )


def _short(value: object) -> object:
    return cut(value, EVENT_TEXT_CHARS) if isinstance(value, str) else value
