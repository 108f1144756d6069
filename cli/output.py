"""What leaves the program: tables and lines for people, JSON for programs. Everything from the ledger is made visible first."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TextIO

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
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

_TERMINAL_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_GAP: Final = 2
_FLEXIBLE_COLUMNS_MIN: Final = 20

Cell = str | Text


def console(*, is_error: bool = False, width: int | None = None) -> Console:
    """The terminal, or what stands in its place; styles only on a terminal and without NO_COLOR."""
    stream = sys.stderr if is_error else sys.stdout
    if width is None and not stream.isatty():
        width = _PIPE_COLUMNS
    has_styles = not os.environ.get("NO_COLOR")
    return Console(
        file=stream,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="auto" if has_styles else None,
    )


def say(*parts: Cell) -> None:
    """A line for people."""
    console().print(*parts, soft_wrap=True)


def warn(message: str) -> None:
    """A line beside the output, on stderr."""
    _say_on_stderr(Text(visible(message, is_multiline=True), style="yellow"))


def say_error(message: str) -> None:
    """An error, on stderr."""
    _say_on_stderr(Text.assemble(("Error: ", "bold red"), visible(message, is_multiline=True)))


def _say_on_stderr(text: Text) -> None:
    shown = console(is_error=True)
    # Written by ourselves: a console that meets a closed pipe ends the whole program.
    with shown.capture() as captured:
        shown.print(text, soft_wrap=True)
    sys.stderr.write(captured.get())
    sys.stderr.flush()


@contextmanager
def going_on_unheard(stream: TextIO) -> Iterator[None]:
    """Inside, a stream that takes nothing, such as that of a full disk or a closed terminal, stops nothing.

    From then on it leads nowhere, so that what waits in it is no trouble at the end either.
    """
    try:
        yield
    except (OSError, ValueError):
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), stream.fileno())


def say_json(shape: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(json_line(shape) + "\n")
    sys.stdout.flush()


def json_line(shape: object) -> str:
    """A shape as JSON in one line. The control and direction characters that JSON allows raw are written out, because terminals obey them.

    Positions are the one type of ours that is not JSON's; they are text.
    """
    text = msgspec.json.encode(shape, enc_hook=str).decode()
    return _TERMINAL_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, flexible: str | None = None) -> None:
    """An aligned table; on a terminal, the `flexible` column is cut to what the others leave it."""
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max([cell_len(name), *(row[index].cell_len for row in cells)]) for index, name in enumerate(columns)]
    if flexible is not None:
        index = columns.index(flexible)
        others = sum(widths) - widths[index] + _GAP * (len(columns) - 1)
        room = max(console().width - others, _FLEXIBLE_COLUMNS_MIN)
        for row in cells:
            row[index].truncate(room, overflow="ellipsis")
        widths[index] = min(widths[index], room)
    lines = [[Text(name, style="bold") for name in columns], *cells]
    rendered: dict[tuple[str, str], str] = {}
    for line in lines:
        shown = [
            _rendered(cell, rendered) + " " * (width - cell.cell_len) for cell, width in zip(line, widths, strict=True)
        ]
        sys.stdout.write((" " * _GAP).join(shown).rstrip() + "\n")
    sys.stdout.flush()


def room_beside(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How many columns of the terminal are left for the last of `columns`, which `rows` do not have yet."""
    widths = [max([cell_len(name), *(cell_len(row[index]) for row in rows)]) for index, name in enumerate(columns[:-1])]
    return console().width - sum(widths) - _GAP * len(widths)


def _rendered(cell: Text, known: dict[tuple[str, str], str]) -> str:
    """A cell with its style as this terminal wants it; few cells have one, and those are often the same."""
    if not cell.style:
        return cell.plain
    key = cell.plain, str(cell.style)
    if key not in known:
        shown = console()
        with shown.capture() as captured:
            shown.print(cell, end="")
        known[key] = captured.get()
    return known[key]


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


@contextmanager
def progress_lines() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is done: called with its name, how much of it is done, and how much there is."""
    with progress_bar("{task.description}") as shown:
        lines: dict[str, Callable[[int, int], None]] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in lines:
                line = shown.add_task(what, total=total)
                lines[what] = lambda done, total: shown.update(line, completed=done, total=total)
            lines[what](done, total)

        yield show
