"""Writes `docs/reference/cli.md` from every command's `--help`: `python -m tests.support.cli_reference`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import typer.main
import typer.rich_utils
from typer.testing import CliRunner

from cli.tree import app_for
from tests.support.markdown import DOCS

PAGE: Final = DOCS / "reference" / "cli.md"
PROGRAM: Final = "tt"
COLUMNS: Final = 80

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
_HEAD: Final = """\
# Commands

This page is made from `--help` by `make docs`; do not change it by hand.

Every command of a town takes `--town PATH`, most take `--actor NAME`, and every command takes `--json`: [JSON](json.md).
A task is named by its id, by a unique prefix of it, or by its alias.
[WHEN](when.md) is a moment: an event, a time or an age.
Exit codes are in [Exit codes and errors](exit-codes.md), and environment variables in [Settings](settings.md).
"""


def command_names() -> Iterator[tuple[str, ...]]:
    """The names of every command and group, groups before what is in them; the program itself is ()."""
    yield from _names_below(typer.main.get_command(app_for()), ())


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its names, groups left out."""
    root: Any = typer.main.get_command(app_for())
    for names in _names_below(root, ()):
        found = root
        for name in names:
            found = found.commands[name]
        if not hasattr(found, "commands"):
            yield names, found


def reference() -> str:
    """The page: a heading and the help of every command."""
    return "\n".join([_HEAD, *(_section(names) for names in command_names())])


def _names_below(command: Any, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield names
    for name, child in getattr(command, "commands", {}).items():
        yield from _names_below(child, (*names, name))


def _section(names: tuple[str, ...]) -> str:
    return f"## {' '.join((PROGRAM, *names))}\n\n```text\n{_help(names)}\n```\n"


def _help(names: tuple[str, ...]) -> str:
    """What `--help` prints at 80 columns, without colour and without blanks at the ends of lines."""
    result = CliRunner().invoke(
        app_for(names),
        [*names, "--help"],
        prog_name=PROGRAM,
        env={"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in _ESCAPES.sub("", result.output).splitlines()]
    return "\n".join(lines).strip("\n")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} is written.\n")
