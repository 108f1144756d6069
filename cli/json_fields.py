"""The fields of a task that `--json=FIELDS` picks. Without FIELDS, `--json` prints all of them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from cli.text import visible
from ledger import FIELD_NAMES

WITHOUT_FIELDS: Final = "\0"
"""Stands for the fields where `--json` has none. No word of a command line can hold this character."""


class JsonFields(Struct, frozen=True):
    """That JSON is asked for, and which fields of each task, in this order; all if there are none."""

    names: tuple[str, ...] = ()


class UnknownFieldError(Exception):
    """What follows `--json=` names no field, or one that tasks do not have."""


def parse_json_fields(text: str) -> JsonFields:
    """The fields that stand behind `--json=`, separated by commas. UnknownFieldError."""
    if text == WITHOUT_FIELDS:
        return JsonFields()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in FIELD_NAMES]
    if unknown:
        found = f"{visible(unknown[0])!r} is not a field of a task" if unknown[0] else "A field has no name"
        message = f"{found}. Choose from {', '.join(FIELD_NAMES)}."
        raise UnknownFieldError(message)
    return JsonFields(names)
