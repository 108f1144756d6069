"""Everything that the program prints: tables and lines for people, JSON for programs.

All text is made visible here, before it is styled and placed, so callers pass what they have. Line breaks stay in
warnings, errors and the fields that allow them; elsewhere they become ⏎. No other module prints, and `cli.gate` checks
what is printed. Making text visible twice changes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from cli.columns import columns as columns_of
from cli.gate import styled
from cli.reader import bytes_until_reader_goes, is_reader_gone
from cli.styled import Styled
from cli.text import json_visible, visible
from ledger import State

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text
    from typer.exceptions import TyperException

STATE_STYLES: Final = {
    State.PENDING: "yellow",
    State.ASSIGNED: "cyan",
    State.RUNNING: "blue",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.CANCELLED: "dim",
}
_PIPE_COLUMNS: Final = 100_000
"""A table in a pipe is as wide as its content, because programs need whole lines."""

_GAP: Final = 2
_FLEXIBLE_COLUMNS_MIN: Final = 20
_BODY_COLUMNS_MIN: Final = 20
_LITTLE_INDENT: Final = 4

_RICH_WORDS: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""The variables that make Rich treat a pipe as a terminal."""

Cell = str | Styled


def _is_plain(*, is_error: bool = False) -> bool:
    """Whether the output needs no Rich: it is no terminal, and no variable asks for colours."""
    stream = sys.stderr if is_error else sys.stdout
    return not stream.isatty() and not any(word in os.environ for word in _RICH_WORDS)


def _console(*, is_error: bool = False) -> Console:
    """A console for stdout or stderr; it has styles only on a terminal and without NO_COLOR."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and a pipe does not need it

    stream = styled(sys.stderr if is_error else sys.stdout)
    width = None if stream.isatty() else _PIPE_COLUMNS
    has_styles = not os.environ.get("NO_COLOR")
    return Console(
        file=stream,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="auto" if has_styles else None,
    )


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def say(*parts: Cell) -> None:
    """A line for people."""
    if _is_plain():
        say_at_once(" ".join(map(_words, parts)))
    else:
        _console().print(*(_text(part) for part in parts), soft_wrap=True)


def say_apart(line: Cell) -> None:
    """A line for people, with an empty one before it."""
    say()
    say(line)


def say_at_once(line: str) -> None:
    """A line without a style, written at once for those who wait for it."""
    sys.stdout.write(f"{visible(line)}\n")
    sys.stdout.flush()


def say_lines(text: str) -> None:
    """Lines for a program, whose hidden characters are written out and whose line breaks and tabs stay. Call `flush` at the end."""
    sys.stdout.write(visible(text, is_multiline=True, keeps_tabs=True))


def say_tabbed(line: str) -> None:
    """A line for a program that takes it apart at its tabs."""
    sys.stdout.write(f"{visible(line, keeps_tabs=True)}\n")


def warn(message: str) -> None:
    """A warning, on stderr; it may have line breaks."""
    _say_on_stderr(Styled.of(message, "yellow"))


def tell(message: Cell) -> None:
    """A line on how far it is, beside the output, on stderr."""
    _say_on_stderr(_styled(message))


def say_error(message: str) -> None:
    """An error, on stderr; it may have line breaks."""
    _say_on_stderr(Styled.assemble(("Error: ", "bold red"), message))


def say_usage_error(error: TyperException, words: str | None = None) -> None:
    """A mistake in the command line, as Typer shows it, on stderr; in these words if there are better ones."""
    from typer import core, rich_utils  # noqa: PLC0415 - only a mistake pays for it

    message = visible(words or error.format_message(), is_multiline=True, keeps_tabs=True)
    # Typer's name of its type, which says nothing to people.
    message = message.replace("is not a valid int range.", "is not a whole number.")
    # Set on the error itself, which knows its command and how to show itself.
    error.format_message = lambda: message  # type: ignore[method-assign]
    if core.HAS_RICH:
        rich_utils.rich_format_error(error)  # type: ignore[arg-type]  # Typer's own errors are all of that class
    else:
        error.show()  # type: ignore[attr-defined]


def say_abort() -> None:
    """Say that a question was not answered, as Typer does, on stderr."""
    from typer import rich_utils  # noqa: PLC0415 - as above

    rich_utils.rich_abort_error()


def _say_on_stderr(message: Styled) -> None:
    if _is_plain(is_error=True):
        sys.stderr.write(f"{_words(message, is_multiline=True)}\n")
    else:
        shown = _console(is_error=True)
        # Captured and written here: a console that meets a closed pipe ends the whole program.
        with shown.capture() as captured:
            shown.print(_text(message, is_multiline=True), soft_wrap=True)
        styled(sys.stderr).write(captured.get())
    sys.stderr.flush()


@contextmanager
def ignoring_lost_output(*, is_error: bool = False) -> Iterator[None]:
    """Inside, failing to write to stdout or stderr is no error: the disk may be full, or the terminal closed.

    From then on the stream leads to the null device, so that text left in its buffer causes no error at exit.
    """
    stream = sys.stderr if is_error else sys.stdout
    try:
        yield
    except (OSError, ValueError):
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), stream.fileno())


def is_unread() -> bool:
    """Whether the reader of stdout has gone."""
    return is_reader_gone(sys.stdout)


def flush() -> None:
    """Flush stdout."""
    sys.stdout.flush()


@contextmanager
def bytes_out() -> Iterator[BinaryIO]:
    """Stdout for the bytes of a file. They pass no gate: the caller keeps them from a terminal."""
    flush()
    with bytes_until_reader_goes(sys.stdout.fileno()) as stream:
        yield stream


def say_json(shape: object) -> None:
    """One line of JSON on stdout."""
    say_at_once(json_line(shape))


def json_line(shape: object) -> str:
    """A shape as one line of JSON. Control characters are escaped as JSON allows, so the values stay the same.

    Two types of ours become text: positions, and errors, as a person reads them.
    """
    import msgspec  # noqa: PLC0415 - only JSON is made with it

    try:
        return json_visible(msgspec.json.encode(shape, enc_hook=_plain).decode())
    except UnicodeEncodeError:
        # The name of a folder need not be UTF-8. `json` writes such bytes as the escapes that Python reads back.
        import json  # noqa: PLC0415 - such names are rare

        return json.dumps(msgspec.to_builtins(shape, enc_hook=_plain), separators=(",", ":"))


def _plain(value: object) -> str:
    if isinstance(value, Exception):
        from town import words_of  # noqa: PLC0415 - only an error pays for it

        return words_of(value)
    return str(value)


def say_hanging(head: Cell, body: Cell) -> None:
    """A line for people; on a terminal what does not fit goes on below the beginning of `body`, or all of it below `head`."""
    if _is_plain():
        say(Styled.assemble(_styled(head), _styled(body)))
        return
    console, beginning = _console(), _text(head)
    indent = beginning.cell_len
    if console.width - indent < _BODY_COLUMNS_MIN:
        beginning.rstrip()
        if beginning:
            console.print(beginning, soft_wrap=True)
        beginning, indent = _text(" " * _LITTLE_INDENT), _LITTLE_INDENT
    for line in _text(body).wrap(console, max(console.width - indent, 1), overflow="fold"):
        line.rstrip()
        # With `+` the style of the beginning would be that of the whole line.
        console.print(_text("").append_text(beginning).append_text(line), soft_wrap=True)
        beginning = _text(" " * indent)


def say_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    flexible: str | Sequence[str] = (),
    optional: Sequence[str] = (),
    is_wrapped: bool = False,
) -> None:
    """An aligned table. On a terminal that is too narrow, the `flexible` columns are cut, or wrapped, to the width that the others leave.

    If that leaves too little, the `optional` columns are left out, the last one first, and stderr says so. If that does not help, the cells of a
    row stand one after the other, on as many lines as they need.
    """
    lines = [[_words(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(columns_of, column)) for column in zip(*lines, strict=True)]
    if not _is_plain() or sum(widths) + _GAP * (len(columns) - 1) > _PIPE_COLUMNS:
        names = [flexible] if isinstance(flexible, str) else flexible
        _say_styled_table(
            columns,
            rows,
            flexible=[columns.index(name) for name in names if name in columns],
            optional=[columns.index(name) for name in optional if name in columns],
            is_wrapped=is_wrapped,
        )
        return
    gap = " " * _GAP
    for line in lines:
        shown = [cell + " " * (width - columns_of(cell)) for cell, width in zip(line, widths, strict=True)]
        sys.stdout.write(f"{gap.join(shown).rstrip()}\n")
    sys.stdout.flush()


def _say_styled_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    flexible: Sequence[int],
    optional: Sequence[int],
    is_wrapped: bool,
) -> None:
    cells = [[_text(Styled.of(name, "bold")) for name in columns], *([_text(cell) for cell in row] for row in rows)]
    natural = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    console = _console()
    widths = _widths(natural, flexible, optional, room=console.width)
    if widths is None:
        _say_stacked(console, cells, flexible, is_wrapped=is_wrapped)
        return
    rendered: dict[tuple[str, str], str] = {}
    stream = styled(sys.stdout)
    for row in cells:
        shown = [row[index] for index in widths]
        for line in _lines_of_row(console, shown, [*widths.values()], is_wrapped=is_wrapped):
            padded = [
                _rendered(cell, rendered) + " " * (width - cell.cell_len)
                for cell, width in zip(line, widths.values(), strict=True)
            ]
            stream.write((" " * _GAP).join(padded).rstrip() + "\n")
    stream.flush()
    left_out = [name for index, name in enumerate(columns) if index not in widths]
    if left_out:
        warn(f"No room for {' and '.join(left_out)}.")


def _widths(
    natural: Sequence[int], flexible: Sequence[int], optional: Sequence[int], *, room: int
) -> dict[int, int] | None:
    """Column -> its width, without as many of the optional ones as have to be left out; None if that does not help."""
    for kept in range(len(optional), -1, -1):
        shown = [index for index in range(len(natural)) if index not in optional[kept:]]
        among = [shown.index(index) for index in flexible if index in shown]
        fitted = _fitted([natural[index] for index in shown], among, room=room - _GAP * (len(shown) - 1))
        if fitted is not None:
            return dict(zip(shown, fitted, strict=True))
    return None


def _fitted(natural: Sequence[int], flexible: Sequence[int], *, room: int) -> list[int] | None:
    """The width of each column, so that all fit; None if the flexible ones would be too narrow to read."""
    widths = list(natural)
    if sum(widths) <= room:
        return widths
    left = room - sum(width for index, width in enumerate(natural) if index not in flexible)
    # The narrow ones first: what they do not need is for the others.
    for number, index in enumerate(sorted(flexible, key=natural.__getitem__)):
        widths[index] = min(natural[index], left // (len(flexible) - number))
        if widths[index] < min(natural[index], _FLEXIBLE_COLUMNS_MIN):
            return None
        left -= widths[index]
    return widths if left >= 0 else None


def _lines_of_row(
    console: Console, row: Sequence[Text], widths: Sequence[int], *, is_wrapped: bool
) -> Iterator[list[Text]]:
    """A row of a table, as one line or, if it is wrapped, as many as its longest cell needs."""
    if not is_wrapped:
        for cell, width in zip(row, widths, strict=True):
            cell.truncate(width, overflow="ellipsis")
        yield list(row)
        return
    wrapped = [
        [cell] if cell.cell_len <= width else list(cell.wrap(console, width, overflow="fold"))
        for cell, width in zip(row, widths, strict=True)
    ]
    for number in range(max(map(len, wrapped))):
        line = [lines[number] if number < len(lines) else _text("") for lines in wrapped]
        for cell in line:
            cell.rstrip()
        yield line


def _say_stacked(
    console: Console, rows: Sequence[Sequence[Text]], flexible: Sequence[int], *, is_wrapped: bool
) -> None:
    """The rows of a table that is too wide: each cell on the line of the one before it, or below, where it does not fit."""
    for row in rows:
        line = _text("")
        for index, cell in enumerate(row):
            if not cell.plain:
                continue
            if index in flexible and not is_wrapped:
                cell.truncate(max(console.width - _LITTLE_INDENT, 1), overflow="ellipsis")
            if line.plain.strip() and line.cell_len + _GAP + cell.cell_len > console.width:
                _print_wrapped(console, line)
                line = _text(" " * _LITTLE_INDENT)
            elif line.plain.strip():
                line.append(" " * _GAP)
            line.append_text(cell)
        _print_wrapped(console, line)


def _print_wrapped(console: Console, line: Text) -> None:
    """A line, and what does not fit below it, indented."""
    if line.cell_len <= console.width:
        console.print(line, soft_wrap=True)
        return
    indent = _LITTLE_INDENT if line.plain.startswith(" " * _LITTLE_INDENT) else 0
    body = line[indent:]
    for number, part in enumerate(body.wrap(console, max(console.width - _LITTLE_INDENT, 1), overflow="fold")):
        part.rstrip()
        console.print(_text(" " * (indent if number == 0 else _LITTLE_INDENT)) + part, soft_wrap=True)


def say_cut(line: Cell) -> None:
    """A line for people, cut at the width of a terminal."""
    if _is_plain():
        say(line)
        return
    console, text = _console(), _text(line)
    text.truncate(console.width, overflow="ellipsis")
    console.print(text, soft_wrap=True)


def terminal_columns() -> int | None:
    """How wide the terminal is; None for a pipe, which takes lines of any length."""
    return _console().width if is_terminal() else None


def _rendered(cell: Text, known: dict[tuple[str, str], str]) -> str:
    """A cell with its style for this terminal. `known` caches them, because few cells have a style and many are equal."""
    if not cell.style:
        return cell.plain
    key = cell.plain, str(cell.style)
    if key not in known:
        shown = _console()
        with shown.capture() as captured:
            shown.print(cell, end="")
        known[key] = captured.get()
    return known[key]


def say_fields(fields: Sequence[tuple[str, Cell]], *, multiline: Container[str] = ()) -> None:
    """A list of names and aligned values, wrapped on a terminal. The values of names in `multiline` may have line breaks."""
    fields = [(visible(name), value) for name, value in fields]
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        for number, line in enumerate(_lines(value, is_multiline=name in multiline)):
            head = Styled.of(f"{name if number == 0 else '':<{width}}  ", "bold")
            # An id or a path is one piece, to be copied: the terminal breaks it, not we.
            say_hanging(head, line) if " " in line.plain else say(Styled.assemble(head, line))


def is_progress_shown() -> bool:
    """Whether a progress bar would be seen: stderr is a terminal."""
    return not _is_plain(is_error=True)


def progress_bar(label: str) -> Progress:
    """A progress bar on stderr, shown only on a terminal, which disappears when done."""
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    error_console = _console(is_error=True)
    return Progress(
        TextColumn(label, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not error_console.is_terminal,
    )


@contextmanager
def progress_lines() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step of the work; call it with the step's name, how much is done, and how much there is."""
    with progress_bar("{task.description}") as shown:
        lines: dict[str, Callable[[int, int], None]] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in lines:
                line = shown.add_task(visible(what), total=total)
                lines[what] = lambda done, total: shown.update(line, completed=done, total=total)
            lines[what](done, total)

        yield show


def _styled(cell: Cell) -> Styled:
    return cell if isinstance(cell, Styled) else Styled.of(cell)


def _words(cell: Cell, *, is_multiline: bool = False) -> str:
    """A cell's text, made visible."""
    return visible(cell if isinstance(cell, str) else cell.plain, is_multiline=is_multiline)


def _lines(cell: Cell, *, is_multiline: bool) -> list[Styled]:
    """A cell, made visible, as its lines."""
    lines: list[list[tuple[str, str]]] = [[]]
    for text, style in cell.pieces if isinstance(cell, Styled) else ((cell, ""),):
        first, *others = visible(text, is_multiline=is_multiline).split("\n")
        lines[-1].append((first, style))
        lines += [[(other, style)] for other in others]
    return [Styled(tuple(pieces)) for pieces in lines]


def _text(cell: Cell, *, is_multiline: bool = False) -> Text:
    """A cell as Rich's Text, made visible."""
    from rich.text import Text  # noqa: PLC0415 - as above

    if isinstance(cell, str):
        return Text(visible(cell, is_multiline=is_multiline))
    pieces = [(visible(text, is_multiline=is_multiline), style) for text, style in cell.pieces]
    return Text(pieces[0][0], style=pieces[0][1]) if len(pieces) == 1 else Text.assemble(*pieces)
