"""The fields of an event as plain values for other programs. They come from the events' types, so a new field needs no change here."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

import msgspec

from ledger import CREATIONS, Event, RecordedEvent, Task

FactValue = str | int

_LEFT_OUT: Final = frozenset({"records"})
"""The old record of an adopted task, as it was found: the other fields have what it says."""

_WORDS: Final = frozenset({"agent", "description", "error", "question", "reason", "result", "text"})
_IN_COLUMNS: Final = {True: frozenset({"alias", "description", "state"}), False: frozenset[str]()}
"""The fields that a table has columns for, by whether the event creates a task."""


class Step(NamedTuple):
    """An event, and its task right before and right after it. It is not wanted if it is before the part that was asked for."""

    recorded: RecordedEvent
    before: Task | None
    after: Task | None
    is_wanted: bool


def fact_values(data: Event) -> dict[str, FactValue]:
    """Field -> its value, without empty ones. A list is one text of JSON."""
    values: dict[str, FactValue] = {}
    for field in data.__struct_fields__:
        value = getattr(data, field)
        if field in _LEFT_OUT or value is None or value == ():
            continue
        values[field] = plain_value(value)
    return values


def plain_value(value: object) -> FactValue:
    """A number as it is, a text or a choice as text, a list as JSON, anything else as people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value.value) if isinstance(value, Enum) else value
    if isinstance(value, tuple | list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def fact_text(data: Event) -> str:
    """The fields of an event that a table has no column for, in one text.

    Words that people wrote stand without the field's name, other values with it.
    """
    values = [
        (field, value)
        for field, value in fact_values(data).items()
        if field not in _IN_COLUMNS[type(data) in CREATIONS]
    ]
    return "; ".join(str(value) if field in _WORDS else f"{field}: {value}" for field, value in values)
