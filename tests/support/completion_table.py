"""Writes `cli/completion_table.py` from the commands as Typer has them: `python -m tests.support.completion_table`."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from typing import Any, Final

import typer.main

from cli.tree import GROUPS, PANELS, PLACES, app_for
from ledger import EVENT_CLASSES, TOWN_EVENT_CLASSES
from projections import VIEWS
from tests.support.markdown import ROOT

FILE: Final = ROOT / "cli" / "completion_table.py"
WORDS_MAX: Final = 60

_HEAD: Final = '''\
"""What can stand on a command line of `tt`, for shells: generated from the commands by `make docs`; do not change it by hand.

FIRST_WORDS and GROUPS: a word -> what it is for. COMMANDS: the words of a command -> what it is for, the kind of each argument,
whether the last argument can be repeated, and the options: each with its kind, whether it can be repeated, and what it is for.
A kind is a word that `cli.completion` knows, the possible values, `flag`, or empty for text of the user's own.
"""

from __future__ import annotations

from typing import Final

Kind = str | tuple[str, ...]

# fmt: off
'''
_BY_METAVAR: Final = {
    "TASK": "task",
    "TASK...": "task",
    "OTHER...": "task",
    "PARENT": "task",
    "AGENT": "agent",
    "TAG": "tag",
    "WHEN": "when",
    "A": "when",
    "[B]": "when",
    "EVENT": "event",
    "[EVENT|TASK]": "event",
    "FILE": "file",
    "COMMAND [ARG]...": "command",
}
_BY_NAME: Final = {
    "--agent": "agent",
    "--actor": "actor",
    "--town": "folder",
    "--folder": "folder",
    "--file": "file",
    "--view": tuple(view.name for view in VIEWS),
    "--type": tuple(each.type for each in (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)),
}


def table() -> str:
    """The file as it should be."""
    root: Any = typer.main.get_command(app_for())
    first = {name: _words(root.commands[name].help) for name in PANELS if name in root.commands}
    groups = {
        name: {below: _words(each.help) for below, each in root.commands[name].commands.items()} for name in GROUPS
    }
    commands = {names: _shape(root, names) for names in PLACES}
    options = {
        name: _words(option.help)
        for option in root.params
        if option.param_type_name == "option"
        for name in option.opts
        if name.startswith("--")
    }
    parts = (
        ("FIRST_WORDS: Final[dict[str, str]]", first),
        ("FIRST_OPTIONS: Final[dict[str, str]]", options),
        ("GROUPS: Final[dict[str, dict[str, str]]]", groups),
        (
            "COMMANDS: Final[dict[tuple[str, ...], tuple[str, tuple[Kind, ...], bool, dict[str, tuple[Kind, bool, str]]]]]",
            commands,
        ),
    )
    return _HEAD + "\n".join(f"{name} = {_written(value)}" for name, value in parts) + "\n"


def _shape(
    root: Any, names: tuple[str, ...]
) -> tuple[str, tuple[object, ...], bool, dict[str, tuple[object, bool, str]]]:
    command = root
    for name in names:
        command = command.commands[name]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    return (
        _words(command.help),
        tuple(_kind(each, each.metavar or "") for each in arguments),
        bool(arguments) and arguments[-1].nargs == -1,
        {
            name: (_kind(option, name), bool(option.multiple), _words(option.help))
            for option in options
            for name in option.opts
            if name.startswith("--") and name != "--help"
        },
    )


def _kind(parameter: Any, name: str) -> object:
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return tuple(str(each) for each in choices)
    if getattr(parameter, "is_flag", False):
        return "flag"
    return _BY_NAME.get(name) or _BY_METAVAR.get(parameter.metavar or "", "")


def _words(text: str | None) -> str:
    """The first sentence without its full stop; of a long one, what comes before a colon or a semicolon, or some words."""
    sentence = (text or "").strip().partition("\n")[0].partition(". ")[0].removesuffix(".")
    if len(sentence) > WORDS_MAX:
        sentence = re.split("[:;] ", sentence)[0]
    return textwrap.shorten(sentence, WORDS_MAX, placeholder=" …")


def _written(value: object, *, depth: int = 0) -> str:
    """Dicts have a line for each entry, down to the options of a command."""
    if isinstance(value, dict):
        inner = " " * 4 * (depth + 1)
        lines = (f"{inner}{_written(key)}: {_written(each, depth=depth + 1)},\n" for key, each in value.items())
        return f"{{\n{''.join(lines)}{' ' * 4 * depth}}}" if value else "{}"
    if isinstance(value, tuple):
        parts = [_written(each, depth=depth) for each in value]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return repr(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{FILE} is written.\n")
