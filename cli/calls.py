"""Call: the command that a plain command line asks for, read without Typer, which takes longer to import than a task to show.

`cli.call_table` is generated from the commands as Typer has them, so nothing is declared twice. Only what means the same to
Typer beyond doubt is read here. Help, mistakes, options that need a parser, values that begin with a dash: all else is left
to Typer, so that every message is Typer's own. docs/decisions/0022.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from cli.call_table import CALLS

_COMPLETION: Final = "_TT_COMPLETE"
"""What a shell sets to ask Typer for completions; Typer looks at it before the words."""
_DIGITS_MAX: Final = 9


class OptionShape(NamedTuple):
    """An option: the parameter it fills, what it takes (text, texts, number, path, state, flag), and the least number."""

    parameter: str
    kind: str
    least: int = 0


class CallShape(NamedTuple):
    """A command: its function, its arguments in order, how many of them are needed, and its options."""

    module: str
    function: str
    arguments: tuple[str, ...]
    needed: int
    options: dict[str, tuple[str, str] | tuple[str, str, int]]


class Call(NamedTuple):
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
    shape = CallShape(*found)
    try:
        return Call(shape.module, shape.function, _given(shape, words[length:]))
    except _UnreadError:
        return None


def _given(shape: CallShape, words: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    arguments: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            arguments.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in shape.options:
            raise _UnreadError
        option = OptionShape(*shape.options[name])
        if option.parameter in given and option.kind != "texts":
            raise _UnreadError
        if option.kind == "flag":
            if equals:
                raise _UnreadError
            given[option.parameter] = True
            continue
        _take(given, option, value if equals else next(rest, ""))
    if not shape.needed <= len(arguments) <= len(shape.arguments):
        raise _UnreadError
    return given | dict(zip(shape.arguments, arguments, strict=False))


def _take(given: dict[str, Any], option: OptionShape, value: str) -> None:
    if not value or value.startswith("-"):
        raise _UnreadError
    if option.kind == "texts":
        given.setdefault(option.parameter, []).append(value)
    else:
        given[option.parameter] = _read_value(option, value)


def _read_value(option: OptionShape, value: str) -> Any:  # noqa: ANN401 - each option has its type
    if option.kind == "text":
        return value
    if option.kind == "number":
        is_plain = value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX
        if not is_plain or int(value) < option.least:
            raise _UnreadError
        return int(value)
    if option.kind == "path":
        from pathlib import Path  # noqa: PLC0415 - few name a folder

        return Path(value)
    assert option.kind == "state"
    from ledger import State  # noqa: PLC0415 - as above

    if value not in list(State):
        raise _UnreadError
    return State(value)
