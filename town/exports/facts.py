"""What an event says, field by field, as plain values for other programs. Made from the events' own fields, so a new one is unasked."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

import msgspec

from ledger import CREATIONS, Event, RecordedEvent, Task

FactValue = str | int

_LEFT_OUT: Final = frozenset({"records"})
"""The old record of an adopted task, as it was found: what it says stands in the other fields."""


_WORDS: Final = frozenset({"agent", "description", "error", "reason", "result", "text"})
_IN_COLUMNS: Final = {True: frozenset({"alias", "description", "state"}), False: frozenset[str]()}
"""What a table has columns for, of events that make a task, and of others."""


class Step(NamedTuple):
    """An event, and its task right before it and right after it. What is not wanted came before what was asked for."""

    recorded: RecordedEvent
    before: Task | None
    after: Task | None
    is_wanted: bool


def fact_values(data: Event) -> dict[str, FactValue]:
    """Field -> its value, without empty ones; several values are JSON in one text."""
    values: dict[str, FactValue] = {}
    for field in data.__struct_fields__:
        value = getattr(data, field)
        if field in _LEFT_OUT or value is None or value == ():
            continue
        values[field] = plain_value(value)
    return values


def plain_value(value: object) -> FactValue:
    """A number as it is, a text or a name of a choice as text, and all else as JSON or as people write it."""
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
    """What an event says beside its type and what a table has columns for, in one text.

    Of what people wrote the words alone, of other fields their names too.
    """
    values = [
        (field, value)
        for field, value in fact_values(data).items()
        if field not in _IN_COLUMNS[type(data) in CREATIONS]
    ]
    return "; ".join(str(value) if field in _WORDS else f"{field}: {value}" for field, value in values)
