"""Writes `cli/call_table.py` from the commands as Typer has them: `python -m tests.support.call_table`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pprint import pformat
from typing import Any, Final

import typer.main

from cli.options import parse_task_fields
from cli.tree import PLACES, app_for
from ledger import LinkKind, State
from projections import Sort
from tests.support.markdown import ROOT

FILE: Final = ROOT / "cli" / "call_table.py"
FIRST_WORDS: Final = frozenset(
    {"assign", "tasks", "task", "search", "backlog", "ready", "blocked", "next", "ask", "answer", "inbox"}
)
"""What agents call all day. The modules of these commands import no Typer."""

_HEAD: Final = '''\
"""The command lines that `cli.calls` reads: generated from the commands by `make docs`; do not change it by hand.

The words of a command -> module, function, arguments, how many of them are needed, and the options: each with the parameter
that it fills, what it takes, and for a number the least one.
"""

from __future__ import annotations

from typing import Any, Final

# fmt: off
'''

Shape = tuple[str, str, tuple[str, ...], int, dict[str, tuple[str, str] | tuple[str, str, int]]]


def table() -> str:
    """The file as it should be."""
    shapes = {names: shape_of(names) for names in PLACES if names[0] in FIRST_WORDS and has_text_arguments(names)}
    lines = [f"    {_written(names)}: {_written(shape)}," for names, shape in shapes.items()]
    return f"{_HEAD}CALLS: Final[dict[tuple[str, ...], Any]] = {{\n" + "\n".join(lines) + "\n}\n"


def has_text_arguments(names: tuple[str, ...]) -> bool:
    """Whether all arguments of a command are text; only Typer reads others."""
    return all(type(each.type).__name__ == "StringParamType" for each in _arguments(_command(names)))


def shape_of(names: tuple[str, ...]) -> Shape:
    command = _command(names)
    module, function = PLACES[names]
    arguments = _arguments(command)
    assert has_text_arguments(names), names
    assert all(each.nargs == 1 for each in arguments[:-1]), names
    options = dict(each for option in command.params if option not in arguments for each in _option(option))
    return (
        f"cli.commands.{module}",
        function,
        tuple(each.name if each.nargs == 1 else f"{each.name}..." for each in arguments),
        sum(each.required for each in arguments),
        options,
    )


def _command(names: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app_for(names))
    for name in names:
        command = command.commands[name]
    return command


def _arguments(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "argument"]


def _option(option: Any) -> Iterator[tuple[str, tuple[str, str] | tuple[str, str, int]]]:
    """The option by each of its names; nothing for one that only Typer can read."""
    kind = _kind(option)
    is_special = option.callback or option.is_eager or option.envvar or option.prompt or option.secondary_opts
    if kind is None or is_special or option.count or option.nargs != 1 or option.required:
        return
    least = () if kind != "number" else (option.type.min,)
    for name in option.opts:
        yield name, (option.name, kind, *least)


def _kind(option: Any) -> str | None:
    kind = type(option.type).__name__
    if kind in ("Choice", "TyperChoice"):
        choices = [str(each) for each in option.type.choices]
        known = {"state": list(State), "sort": list(Sort), "link": list(LinkKind)}
        one = next((name for name, values in known.items() if choices == values), None)
        return f"{one}s" if one and option.multiple else one
    if option.multiple:
        return "texts" if kind == "StringParamType" else None
    if kind == "FuncParamType":
        return "fields" if option.type.func is parse_task_fields else None
    if option.is_flag:
        return "flag"
    if kind == "IntRange":
        return "number" if option.type.max is None and option.type.min is not None else None
    return {"StringParamType": "text", "TyperPath": "path", "Path": "path"}.get(kind)


def _written(value: object) -> str:
    return pformat(value, width=112, sort_dicts=False).replace("'", '"').replace("\n", "\n    ")


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{FILE} is written.\n")
