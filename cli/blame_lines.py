"""The lines of blame: each field, and below it the event that set it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from cli.output import Cell
from cli.render import LINK_FIELDS, state_cell, value_words
from cli.styled import Styled
from cli.text import event_number, short_id, visible
from ledger import Blamed, RecordedEvent, State
from town import local_time

BOOKKEEPING: Final = frozenset({"version", "position", "updated_at", "created_number"})
"""Fields that every event sets, or that the first event always sets. The last event is named once, at the end."""
_FIELD_COLUMNS: Final = len("completed_at")


def blame_lines(blamed: Sequence[Blamed], names: Mapping[str, str] = {}) -> Iterator[tuple[str, Cell]]:
    """Head and body of each line: a field with its value, then its event. Lines of a text stand above the event they share.

    `names` are those of linked tasks and of the parent.
    """
    shown = [each for each in blamed if each.field not in BOOKKEEPING]
    columns = max([_FIELD_COLUMNS, *(len(each.field) for each in shown)])
    for each in shown:
        head = f"{each.field:<{columns}}  "
        below = " " * len(head)
        if not each.parts:
            yield head, _value(each, names)
            yield below, Styled.of(event_note(each.event), "dim")
            continue
        for recorded, texts in _groups(each, names):
            lines = [", ".join(texts)] if isinstance(each.value, tuple) else texts
            for line in lines:
                yield head, line
                head = below
            yield below, Styled.of(event_note(recorded), "dim")


def _groups(blamed: Blamed, names: Mapping[str, str]) -> Iterator[tuple[RecordedEvent, list[str]]]:
    """Neighbouring lines of a text that one event set; the tags that one event set."""
    parts = blamed.parts
    if isinstance(blamed.value, tuple):
        parts = tuple(sorted(parts, key=lambda part: part[1].position.seq))
    for _, group in groupby(parts, key=lambda part: part[1].at):
        found = list(group)
        yield found[0][1], [_part(blamed, text, names) for text, _ in found]


def _part(blamed: Blamed, text: str, names: Mapping[str, str]) -> str:
    return names.get(text, short_id(text)) if blamed.field in LINK_FIELDS else visible(text)


def event_note(recorded: RecordedEvent) -> str:
    """`event 5, 2026-03-15 09:00:00, completed by ada: why`."""
    verb = visible(recorded.type.partition(".")[2])
    reason = "" if recorded.reason is None else f": {visible(recorded.reason)}"
    when = local_time(recorded.position.time)
    return f"event {event_number(recorded.position)}, {when}, {verb} by {visible(recorded.actor)}{reason}"


def _value(blamed: Blamed, names: Mapping[str, str]) -> Cell:
    if blamed.field == "state" and blamed.value is not None:
        return state_cell(State(str(blamed.value)))
    return value_words(blamed.field, blamed.value, names)
