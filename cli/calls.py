"""Call: a plain command line, parsed without Typer, which takes longer to import than most commands take to run.

`cli.call_table` is generated from the commands as Typer has them, so nothing is declared twice. A command line is parsed
here only if Typer would certainly read it the same way. Help, mistakes, options that need a parser and values that begin
with a dash are left to Typer, so that every message is Typer's own. docs/decisions/0025.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cli.call_table import CALLS

if TYPE_CHECKING:
    from cli.json_fields import JsonFields

_COMPLETION: Final = "_TT_COMPLETE"
"""The variable by which a shell asks Typer for completions; Typer checks it before the words."""
_DIGITS_MAX: Final = 9
_MANY: Final = "..."
"""After the name of a last argument that takes several words."""

_Option = tuple[str, str] | tuple[str, str, int]
"""The parameter that an option fills, its kind, and the minimum of a number.

The kinds are text, texts, number, path, state, states, sort, link, fields and flag; those in the plural may be repeated.
"""
_SEVERAL: Final = {"texts": "text", "states": "state"}


class Call(Struct, frozen=True):
    """A command's function and its arguments. What the command line leaves out has the function's default."""

    module: str
    function: str
    given: dict[str, Any]

    def run(self) -> None:
        getattr(import_module(self.module), self.function)(**self.given)


class _UnreadError(Exception):
    """Typer might read these words differently."""


def call_of(words: Sequence[str]) -> Call | None:
    """The call that `words` name; None if Typer has to parse them."""
    length = 2 if tuple(words[:2]) in CALLS else 1
    found = CALLS.get(tuple(words[:length]))
    if found is None or _COMPLETION in os.environ:
        return None
    module, function, arguments, needed_count, options = found
    try:
        given, positional = _read(words[length:], options)
    except _UnreadError:
        return None
    if len(positional) < needed_count:
        return None
    values: list[str | list[str]] = [*positional]
    if arguments and arguments[-1].endswith(_MANY):
        # The last argument takes all words that are left.
        last = len(arguments) - 1
        arguments = (*arguments[:last], arguments[last].removesuffix(_MANY))
        values = [*positional[:last], positional[last:]]
    if len(values) > len(arguments):
        return None
    return Call(module, function, given | dict(zip(arguments, values, strict=False)))


def _read(words: Sequence[str], options: Mapping[str, _Option]) -> tuple[dict[str, Any], list[str]]:
    """The options' values, and the positional words."""
    given: dict[str, Any] = {}
    positional: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            positional.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in options:
            raise _UnreadError
        parameter, kind, *least = options[name]
        if parameter in given and kind not in _SEVERAL:
            # Typer refuses the second of one value.
            raise _UnreadError
        if kind == "flag":
            if equals:
                raise _UnreadError
            given[parameter] = True
        elif kind == "fields":
            given[parameter] = _fields(value if equals else None)
        elif kind in _SEVERAL:
            found = _value(_SEVERAL[kind], _text(value if equals else next(rest, "")))
            given.setdefault(parameter, []).append(found)
        else:
            given[parameter] = _value(kind, _text(value if equals else next(rest, "")), *least)
    return given, positional


def _text(value: str) -> str:
    if not value or value.startswith("-"):
        raise _UnreadError
    return value


def _value(kind: str, text: str, least: int = 0) -> Any:  # noqa: ANN401 - each kind has its type
    if kind == "text":
        return text
    if kind == "number":
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX) or int(text) < least:
            raise _UnreadError
        return int(text)
    if kind == "path":
        from pathlib import Path  # noqa: PLC0415 - few name a folder

        return Path(text)
    try:
        return _choices(kind)(text)
    except ValueError:
        raise _UnreadError from None


def _choices(kind: str) -> type[StrEnum]:
    if kind == "sort":
        from projections import Sort  # noqa: PLC0415 - as above

        return Sort
    assert kind in ("state", "link")
    from ledger import LinkKind, State  # noqa: PLC0415 - as above

    return State if kind == "state" else LinkKind


def _fields(text: str | None) -> JsonFields:
    """What stands behind the equals sign of `--json`; None if there is none."""
    from cli.json_fields import JsonFields, UnknownFieldError, parse_json_fields  # noqa: PLC0415 - as above

    try:
        return JsonFields() if text is None else parse_json_fields(text)
    except UnknownFieldError:
        raise _UnreadError from None
