"""The text of `tasks.toml`: the place of each table and value, and edits that keep the rest, byte for byte. Pure.

TOML libraries give values without their places, and those that keep comments move some of them from task to task
(docs/decisions/0011). So this room finds the places itself, in a text that a TOML library has already parsed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ledger import format_ms, to_ms
from town.plans.plan import TASK_KEYS, Value

_STRING: Final = (
    r'"""(?:\\[\s\S]|[^\\])*?"{3,5}' r"|'''[\s\S]*?'{3,5}" r'|"(?!"")(?:\\.|[^"\\\n])*"' r"|'(?!'')[^'\n]*'"
)
_BLANKS: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_TOKEN: Final = re.compile(rf"(?P<string>{_STRING})|(?P<comment>#[^\r\n]*)|[\[\]{{}},]|[^\"'#\[\]{{}},]+")
_WHOLE_STRING: Final = re.compile(_STRING)
_PLAIN_VALUE: Final = re.compile(r"[^#\r\n]*[^#\r\n \t]")
_REST_OF_LINE: Final = re.compile(r"[^\n]*\n?")
_COMMENT_LINE: Final = re.compile(r"[ \t]*#[^\n]*\n?")
_SPACES: Final = re.compile(r"[ \t]*")
_BLANK_LINE: Final = re.compile(r"[ \t]*\r?\n")


class NotTomlError(ValueError):
    """The text is not TOML at this place. It is never raised for a text that a TOML library has parsed."""


class Statement(NamedTuple):
    """`key = value`: where the key begins, and where the value begins and ends."""

    keys: tuple[str, ...]
    start: int
    value: int
    end: int


class Table(NamedTuple):
    """A header `[name]` or `[[name]]`, where it begins, and the statements below it."""

    path: tuple[str, ...]
    is_element: bool
    start: int
    statements: list[Statement]

    def find(self, key: str) -> Statement | None:
        return next((each for each in self.statements if each.keys[0] == key), None)


class Extent(NamedTuple):
    """Where a statement or header begins, where its value begins (None: no value), and where it ends (None: unclosed)."""

    start: int
    value: int | None
    end: int | None


class Edit(NamedTuple):
    """The replacement for the text from `start` up to `stop`."""

    start: int
    stop: int
    text: str


class Outline:
    """The tables of a text. `tasks` has the index in `tables` of each element of `[[tasks]]`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = Table((), is_element=False, start=0, statements=[])
        self.tables: list[Table] = []
        for found in _scan(text):
            if isinstance(found, Table):
                self.tables.append(found)
            else:
                (self.tables[-1] if self.tables else self.root).statements.append(found)
        self.tasks = [
            number for number, table in enumerate(self.tables) if table.is_element and table.path == ("tasks",)
        ]
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def task_at_line(self, line: int) -> int | None:
        """The number (from 0) of the task that a line belongs to."""
        starts = [self.tables[number].start for number in self.tasks]
        number = bisect_right(starts, self._line_starts[min(line, len(self._line_starts)) - 1])
        return number - 1 if number else None

    def place(self, *, task: int | None = None, key: str | None = None, item: int | None = None) -> int:
        """The offset of a value: that of a task, or that of a dotted name in the file's head; else of the header, else
        0.
        """
        if task is None:
            return self._place_in_head(key or "")
        table = self.tables[self.tasks[task]] if task < len(self.tasks) else self.root
        statement = None if key is None else table.find(key)
        if statement is None:
            return next((each.start for each in self._below(task) if key in each.path), table.start)
        if item is not None:
            strings = _items(self.text, statement)
            return strings[item][0] if item < len(strings) else statement.value
        return statement.value

    def _below(self, task: int) -> Iterator[Table]:
        if task < len(self.tasks):
            for table in self.tables[self.tasks[task] + 1 :]:
                if table.path[0] != "tasks" or len(table.path) == 1:
                    break
                yield table

    def _place_in_head(self, name: str) -> int:
        path = tuple(name.split("."))
        for table in (self.root, *self.tables):
            for statement in table.statements:
                whole = (*table.path, *statement.keys)
                if path[: len(whole)] == whole:
                    return statement.value
        return next((table.start for table in self.tables if table.path == path[:1]), 0)

    @property
    def has_tasks_elsewhere(self) -> bool:
        """Whether tasks are written in another form than `[[tasks]]` tables. Such a form cannot be edited in place."""
        return any(statement.keys[0] == "tasks" for statement in self.root.statements)


def edited(
    outline: Outline,
    *,
    changed: Mapping[int, Mapping[str, Value]],
    dropped: Sequence[int],
    added: Sequence[Mapping[str, Value]],
) -> str:
    """The text with values of tasks changed, tasks dropped, and tasks added at the end; all else stays as it is."""
    newline = "\r\n" if "\r\n" in outline.text else "\n"
    edits = [Edit(*_task_extent(outline, task), "") for task in dropped]
    edits += [
        edit._replace(text=_with_newlines(edit.text, newline))
        for task, values in changed.items()
        for edit in _edits_of(outline.text, outline.tables[outline.tasks[task]], values)
    ]
    text = _apply(outline.text, edits)
    if dropped and not outline.text.endswith(newline * 2):
        text = text.rstrip("\r\n") + newline if text.strip() else text
    if not added:
        return text
    blocks = _with_newlines("\n".join(_block(values) for values in added), newline)
    if text and not text.endswith("\n"):
        text += newline
    between = newline if text.strip() and not text.endswith(newline * 2) else ""
    return text + between + blocks


def _with_newlines(text: str, newline: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", newline)


def extent_at(text: str, offset: int, *, begin: int = 0) -> Extent:
    """What a parser was reading when it stopped at `offset`: the last statement or header that begins at or before it.

    The search starts at `begin`: the beginning of a statement, at or before `offset`. Up to the result the text is
    TOML.
    """
    found = Extent(begin, None, begin)
    while found.end is not None:
        start = _after_blanks(text, found.end)
        # Nothing can begin in a line where a statement ended: there the parser was still reading that one.
        is_behind_one = begin < found.end and "\n" not in text[found.end : start]
        if start == len(text) or start > offset or is_behind_one:
            break
        found = _extent(text, start)
    return found


def _extent(text: str, start: int) -> Extent:
    value: int | None = None
    try:
        if text[start] == "[":
            return Extent(start, None, _header(text, start)[1])
        _, value = _statement_head(text, start)
        return Extent(start, value, _value_end(text, value))
    except NotTomlError:
        return Extent(start, value, None)


def _scan(text: str) -> Iterator[Table | Statement]:
    position = 0
    while (start := _after_blanks(text, position)) < len(text):
        if text[start] == "[":
            path, position = _header(text, start)
            yield Table(path, text.startswith("[[", start), start, [])
        else:
            keys, value = _statement_head(text, start)
            position = _value_end(text, value)
            yield Statement(keys, start, value, position)


def _after_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    assert blanks is not None, "nothing is a blank too"
    return blanks.end()


def _header(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """The parts of the name in a header, and where the header ends."""
    is_element = text.startswith("[[", start)
    path, position = _key(text, start + 1 + is_element)
    return path, _behind(text, position, "]]" if is_element else "]")


def _statement_head(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """The parts of a statement's key, and where the value begins."""
    keys, position = _key(text, start)
    spaces = _SPACES.match(text, _behind(text, position, "="))
    assert spaces is not None, "no space is spaces too"
    return keys, spaces.end()


def _behind(text: str, position: int, sign: str) -> int:
    if not text.startswith(sign, position):
        raise NotTomlError
    return position + len(sign)


def _key(text: str, position: int) -> tuple[tuple[str, ...], int]:
    """The parts of a key or of the name in a header, and where it ends."""
    parts: list[str] = []
    while True:
        part = _KEY_PART.match(text, position)
        if part is None:
            raise NotTomlError
        parts.append(part[1] if part[1][0] not in "\"'" else _string(part[1]))
        position = part.end()
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


def _string(word: str) -> str:
    """The value of a TOML string."""
    import tomli  # noqa: PLC0415 - only who has quoted keys or edits tags pays for it

    try:
        return str(tomli.loads(f"string = {word}")["string"])
    except tomli.TOMLDecodeError as error:
        raise NotTomlError from error


def _value_end(text: str, start: int) -> int:
    if text.startswith(("[", "{"), start):
        return _brackets_end(text, start)
    found = (_WHOLE_STRING if text.startswith(('"', "'"), start) else _PLAIN_VALUE).match(text, start)
    if found is None:
        raise NotTomlError
    return found.end()


def _brackets_end(text: str, start: int) -> int:
    depth = 0
    for token in _tokens(text, start):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if not depth:
            return token.end()
    raise NotTomlError


def _tokens(text: str, start: int) -> Iterator[re.Match[str]]:
    """The tokens of an array or inline table, its brackets among them."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        yield token
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
            if not depth:
                return


def _items(text: str, statement: Statement) -> list[tuple[int, int]]:
    """Where the items of an array begin and end."""
    if text[statement.value] != "[":
        return []
    found: list[tuple[int, int]] = []
    depth = 0
    for token in _tokens(text, statement.value):
        word = token[0].strip()
        if word in ("]", "}"):
            depth -= 1
        if depth == 1 and word and word != "," and token["comment"] is None and word not in ("]", "}"):
            blank = len(token[0]) - len(token[0].lstrip())
            found.append((token.start() + blank, token.start() + blank + len(word)))
        if word in ("[", "{"):
            depth += 1
    return found


def _apply(text: str, edits: Sequence[Edit]) -> str:
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda each: (each.start, each.stop)):
        parts += text[position : edit.start], edit.text
        position = edit.stop
    return "".join([*parts, text[position:]])


def _edits_of(text: str, table: Table, values: Mapping[str, Value]) -> Iterator[Edit]:
    inserted: dict[int, list[str]] = {}
    for key in TASK_KEYS:
        if key not in values:
            continue
        value, statement = values[key], table.find(key)
        if statement is None:
            if value is not None:
                inserted.setdefault(_place_for(text, table, key), []).append(f"{key} = {rendered(value)}\n")
        elif value is None:
            yield _removal(text, statement)
        elif isinstance(value, tuple) and text[statement.value] == "[":
            yield Edit(statement.value, statement.end, _array(text, statement, value))
        else:
            yield Edit(statement.value, statement.end, rendered(value))
    for place, lines in inserted.items():
        is_open_line = place and text[place - 1] != "\n"
        yield Edit(place, place, ("\n" if is_open_line else "") + "".join(lines))


def _place_for(text: str, table: Table, key: str) -> int:
    """Where to put a new key: after the last key that precedes it in the reference, else right below the header."""
    before = TASK_KEYS[: TASK_KEYS.index(key)]
    ends = [statement.end for statement in table.statements if statement.keys[0] in before]
    return _line_end(text, max(ends, default=table.start))


def _line_end(text: str, position: int) -> int:
    rest = _REST_OF_LINE.match(text, position)
    assert rest is not None, "an empty rest matches too"
    return rest.end()


def _removal(text: str, statement: Statement) -> Edit:
    """Remove the line of a statement. A comment behind it stays, on a line of its own."""
    line_end = _line_end(text, statement.end)
    if text[statement.end : line_end].strip():
        spaces = _SPACES.match(text, statement.end)
        return Edit(statement.start, statement.end if spaces is None else spaces.end(), "")
    return Edit(text.rfind("\n", 0, statement.start) + 1, line_end, "")


def _array(text: str, statement: Statement, wanted: tuple[str, ...]) -> str:
    """The array changed to hold `wanted`: remaining items keep their places and comments, new items come at the end."""
    tokens = list(_tokens(text, statement.value))[:-1]
    tags = [None if token["string"] is None else _string(token[0]).strip() for token in tokens]
    kept = tuple(dict.fromkeys(tag for tag in tags if tag in wanted))
    added = tuple(tag for tag in wanted if tag not in kept)
    if "\n" not in text[statement.value : statement.end]:
        return rendered(tuple(tag for tag in kept if tag is not None) + added)
    # Give each item its own comma, so that items can be added and removed at the ends.
    parts = [
        token[0] if tag is None else f"{token[0]},"
        for token, tag in zip(tokens, tags, strict=True)
        if token[0] != "," and (tag is None or tag in wanted)
    ]
    # Not `splitlines`, which also splits at characters that are text in TOML.
    lines = [line.removesuffix("\r") for line in "".join(parts).split("\n") if line.strip()]
    indent = next((_SPACES.match(line)[0] for line in lines[1:]), "    ")  # type: ignore[index]  # it matches anything
    return "\n".join([*lines, *(f"{indent}{rendered(tag)}," for tag in added), "]"])


def _task_extent(outline: Outline, task: int) -> tuple[int, int]:
    """A task's whole section of the text: the comments right above it, its table, its subtables, and what follows up to
    a comment that stands apart or belongs to the next table.
    """
    text = outline.text
    number = outline.tasks[task]
    table = outline.tables[number]
    last = number
    while last + 1 < len(outline.tables) and _lies_below(outline.tables[last + 1]):
        last += 1
    ending = outline.tables[last]
    stop = _line_end(text, ending.statements[-1].end if ending.statements else ending.start)
    limit = _lead(text, outline.tables[last + 1].start) if last + 1 < len(outline.tables) else len(text)
    stop = _skip(text, stop, limit, _COMMENT_LINE)
    stop = _skip(text, stop, limit, _BLANK_LINE)
    return _lead(text, table.start), stop


def _lies_below(table: Table) -> bool:
    return len(table.path) > 1 and table.path[0] == "tasks"


def _skip(text: str, position: int, limit: int, line: re.Pattern[str]) -> int:
    while position < limit and (found := line.match(text, position)) is not None and found.end() <= limit:
        if found.end() == position:
            break
        position = found.end()
    return position


def _lead(text: str, start: int) -> int:
    """Where the comments right above `start` begin, without an empty line between."""
    begin = text.rfind("\n", 0, start) + 1
    while begin:
        above = text.rfind("\n", 0, begin - 1) + 1
        if not text[above:begin].lstrip().startswith("#"):
            break
        begin = above
    return begin


def _block(values: Mapping[str, Value]) -> str:
    lines = [f"{key} = {rendered(value)}\n" for key in TASK_KEYS if (value := values.get(key)) not in (None, ())]
    return "[[tasks]]\n" + "".join(lines)


def rendered(value: str | int | datetime | tuple[str, ...]) -> str:
    """A value as TOML; a text of several lines as a multi-line string."""
    import tomli_w  # noqa: PLC0415 - only who writes pays for it

    if isinstance(value, datetime):
        return format_ms(to_ms(value)).replace(".000Z", "Z")
    if isinstance(value, tuple):
        return f"[{', '.join(rendered(tag) for tag in value)}]"
    # A multi-line string cannot hold a carriage return as it is.
    has_lines = isinstance(value, str) and "\n" in value and "\r" not in value
    written = tomli_w.dumps({"value": value}, multiline_strings=has_lines)
    return written.removeprefix("value = ").removesuffix("\n")
