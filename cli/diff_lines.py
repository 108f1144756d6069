"""The words for what differs between two boards, coloured like git's. Pure: facts in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from cli.output import STATE_STYLES, Cell
from cli.render import LINK_FIELDS, NOTHING, PARENT_FIELD, links_moved, values_of
from cli.styled import Styled
from cli.text import TEXT_CHARS_SHOWN, counted, name_and_title, shortened, visible
from ledger import Effort, FieldChange, Piece, State, Task, word_diff
from projections import BoardDiff, DiffKind, TaskDiff

CONTEXT_CHARS: Final = 40
"""How much text without a change is shown beside a change."""

_SIGNS: Final = {DiffKind.CREATED: ("+", "green"), DiffKind.CHANGED: ("~", "yellow"), DiffKind.REMOVED: ("-", "red")}
_MARKS: Final = {"-": ("[-", "-]", "red"), "+": ("{+", "+}", "green"), " ": ("", "", "")}
"""As `git diff --word-diff`."""
_TEXTS: Final = frozenset({"description", "result", "question", "answer"})
_FIELD_COLUMNS: Final = len("description")


def heading(task: TaskDiff) -> Styled:
    """`~ map  Draw the map`, in the colour of its kind."""
    sign, style = _SIGNS[task.kind]
    return Styled.of(f"{sign} {name_and_title(task.task)}", style)


def field_lines(task: TaskDiff, effort: Effort, names: Mapping[str, str] = {}) -> Iterator[tuple[str, Cell]]:
    """Each field that differs, before and after. What the line of a created or removed task shows is left out.

    `names` are those of linked tasks.
    """
    changes = task.changes
    columns = max([_FIELD_COLUMNS, *(len(change.field) for change in changes)])
    for change in changes:
        is_usual = change.field == "state" and task.kind is DiffKind.CREATED and task.states == [State.PENDING]
        if task.kind is DiffKind.CHANGED or not (is_usual or _is_in_heading(change.field, task.task)):
            yield _head(change.field, columns), _change(task, change, effort, names)
    if task.kind is DiffKind.CHANGED and len(task.states) > 1 and task.states[0] is task.states[-1]:
        yield _head("state", columns), _states(task)
    elif not changes:
        yield "    ", f"{counted(task.events, 'event')}, and no field is different"


def _is_in_heading(field: str, task: Task) -> bool:
    """Whether the line of a task shows the whole field: its alias, and a description without a body."""
    return field == "alias" or (field == "description" and task.title == task.description.strip())


def linked_in(changes: Iterable[FieldChange]) -> list[str]:
    """The ids of the tasks whose links came or went, and of parents, each once."""
    return list(
        dict.fromkeys(
            each
            for change in changes
            if change.field in LINK_FIELDS or change.field == PARENT_FIELD
            for value in (change.before, change.after)
            for each in (value if isinstance(value, tuple) else [value])
            if isinstance(each, str)
        )
    )


def summary(diff: BoardDiff) -> str:
    """`3 tasks: 1 created, 2 changed (1 now running, 1 now completed, 1 re-assigned)`, and how many came and went."""
    parts = [f"{len(diff.of(kind)):,} {kind}" for kind in DiffKind if diff.of(kind)]
    moved = [f"{count:,} now {state}" for state, count in diff.moved_to.items() if count]
    reassigned = diff.reassigned
    more = [*moved, *([f"{reassigned:,} re-assigned"] if reassigned else [])]
    passing = f"; {diff.passing:,} came and went" if diff.passing else ""
    details = f" ({', '.join(more)})" if more else ""
    return f"{counted(len(diff.tasks), 'task')}: {', '.join(parts)}{details}{passing}"


def _head(field: str, columns: int) -> str:
    return f"    {field:<{columns}}  "


def _change(task: TaskDiff, change: FieldChange, effort: Effort, names: Mapping[str, str]) -> Styled:
    before, after = change.before, change.after
    if change.field == "state":
        return _states(task)
    if change.field in LINK_FIELDS:
        return _signed(links_moved(change, names))
    if isinstance(before, tuple) or isinstance(after, tuple):
        return _tags(before or (), after or ())
    if change.field in _TEXTS and isinstance(before, str) and isinstance(after, str):
        return words_of_pieces(word_diff(before, after, effort))
    old, new = values_of(change, names)
    return Styled.assemble(
        (shortened(old, TEXT_CHARS_SHOWN), "red" if before is not None else ""),
        " → ",
        (shortened(new, TEXT_CHARS_SHOWN), "green" if after is not None else ""),
    )


def _states(task: TaskDiff) -> Styled:
    """The states that the task went through."""
    path: list[State] = list(task.states)
    names = [(NOTHING, "")] if task.before is None else []
    names += [(str(state), STATE_STYLES[state]) for state in path]
    names += [(NOTHING, "")] if task.after is None else []
    parts: list[tuple[str, str]] = []
    for name in names:
        parts += [(" → ", ""), name] if parts else [name]
    return Styled.assemble(*parts)


def _tags(before: object, after: object) -> Styled:
    old, new = (each if isinstance(each, tuple) else () for each in (before, after))
    gone = [f"-{visible(tag)}" for tag in old if tag not in new]
    come = [f"+{visible(tag)}" for tag in new if tag not in old]
    return _signed([*gone, *come])


def _signed(words: list[str]) -> Styled:
    """What went in red, and what came in green; each begins with its sign."""
    parts: list[tuple[str, str]] = []
    for word in words:
        shown = word, "red" if word.startswith("-") else "green"
        parts += [(" ", ""), shown] if parts else [shown]
    return Styled.assemble(*parts)


def words_of_pieces(pieces: list[Piece]) -> Styled:
    """A word diff, without the middle of long stretches that did not change."""
    parts: list[tuple[str, str]] = []
    for number, piece in enumerate(pieces):
        begin, end, style = _MARKS[piece.sign]
        is_first, is_last = number == 0, number == len(pieces) - 1
        text = (
            shortened(visible(piece.text), TEXT_CHARS_SHOWN)
            if piece.sign != " "
            else _between(visible(piece.text), is_first=is_first, is_last=is_last)
        )
        parts.append((f"{begin}{text}{end}", style))
    return Styled.assemble(*parts)


def _between(text: str, *, is_first: bool, is_last: bool) -> str:
    """Shorten a stretch without a change: keep its end at the beginning of the text, its beginning at the end, and both between two changes."""
    begin = "" if is_first else text[:CONTEXT_CHARS]
    end = "" if is_last else text[-CONTEXT_CHARS:]
    return text if len(text) <= len(begin) + len(end) + 1 else f"{begin}…{end}"
