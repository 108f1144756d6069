"""What leaves the program: tables and lines for people, JSON for programs. Everything from the ledger is made visible first."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli.text import visible
from ledger import State

STATE_STYLES: Final = {
    State.PENDING: "yellow",
    State.ASSIGNED: "cyan",
    State.RUNNING: "blue",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.CANCELLED: "dim",
}
_PIPE_COLUMNS: Final = 100_000
"""Where nobody looks, a table is as wide as its content: a pipe must get whole lines."""

_TERMINAL_CONTROLS = re.compile("[\x7f-\x9f]")

Cell = str | Text


def console(*, is_error: bool = False) -> Console:
    """The terminal, or what stands in its place; colour only on a terminal and without NO_COLOR."""
    stream = sys.stderr if is_error else sys.stdout
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(*parts: Cell) -> None:
    """A line for people."""
    console().print(*parts, soft_wrap=True)


def warn(message: str) -> None:
    """A line beside the output, on stderr."""
    console(is_error=True).print(visible(message, is_multiline=True), soft_wrap=True, style="yellow")


def say_error(message: str) -> None:
    """An error, on stderr."""
    text = Text.assemble(("Error: ", "bold red"), visible(message, is_multiline=True))
    console(is_error=True).print(text, soft_wrap=True)


def say_json(shape: object) -> None:
    """One line of JSON. The control characters that JSON allows raw are written out, because terminals obey them.

    Positions are the one type of ours that is not JSON's; they are text.
    """
    text = msgspec.json.encode(shape, enc_hook=str).decode()
    sys.stdout.write(_TERMINAL_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
    sys.stdout.flush()


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, flexible: str | None = None) -> None:
    """An aligned table; on a terminal, the `flexible` column is cut to what fits."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis" if column == flexible else "ignore")
    for row in rows:
        table.add_row(*row)
    with console().capture() as rendered:
        console().print(table)
    # The last column is padded too; nobody wants its blanks in a file.
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in rendered.get().splitlines()))
    sys.stdout.flush()


def say_fields(fields: Sequence[tuple[str, Cell]]) -> None:
    """A list of names and values, the values aligned."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        lines = value.split("\n") if isinstance(value, Text) else [Text(line) for line in value.split("\n")]
        for number, line in enumerate(lines):
            label = f"{name if number == 0 else '':<{width}}  "
            console().print(Text.assemble((label, "bold"), line), soft_wrap=True)


def progress_bar(label: str) -> Progress:
    """A bar on stderr that shows itself only on a terminal, and leaves nothing behind."""
    error_console = console(is_error=True)
    return Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not error_console.is_terminal,
    )
