"""Call: the command that a plain command line asks for, read without Typer, which takes longer to import than a task to show.

`cli.call_table` is generated from the commands as Typer has them, so nothing is declared twice. Only what means the same to
Typer beyond doubt is read here. Help, mistakes, options that need a parser, values that begin with a dash: all else is left
to Typer, so that every message is Typer's own. docs/decisions/0025.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from msgspec import Struct

from cli.call_table import CALLS

_COMPLETION: Final = "_TT_COMPLETE"
"""What a shell sets to ask Typer for completions; Typer looks at it before the words."""
_DIGITS_MAX: Final = 9

_Option = tuple[str, str] | tuple[str, str, int]
"""The parameter that an option fills, what it takes (text, texts, number, path, state, flag), and a number's least value."""


class Call(Struct, frozen=True):
    """A command's function and what it is given; what the command line leaves out has the function's own default."""

    module: str
    function: str
    given: dict[str, Any]

    def run(self) -> None:
        getattr(import_module(self.module), self.function)(**self.given)


class _UnreadError(Exception):
    """The words may mean something else to Typer."""


def call_of(words: Sequence[str]) -> Call | None:
    """The call that `words` ask for; None where that is for Typer to say."""
    length = 2 if tuple(words[:2]) in CALLS else 1
    found = CALLS.get(tuple(words[:length]))
    if found is None or _COMPLETION in os.environ:
        return None
    module, function, arguments, needed_count, options = found
    try:
        given, positional = _read(words[length:], options)
    except _UnreadError:
        return None
    if not needed_count <= len(positional) <= len(arguments):
        return None
    return Call(module, function, given | dict(zip(arguments, positional, strict=False)))


def _read(words: Sequence[str], options: Mapping[str, _Option]) -> tuple[dict[str, Any], list[str]]:
    """What the options give, and the words that are none."""
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
        if parameter in given and kind != "texts":
            raise _UnreadError
        if kind == "flag":
            if equals:
                raise _UnreadError
            given[parameter] = True
        elif kind == "texts":
            given.setdefault(parameter, []).append(_text(value if equals else next(rest, "")))
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
    assert kind == "state"
    from ledger import State  # noqa: PLC0415 - as above

    if text not in list(State):
        raise _UnreadError
    return State(text)
