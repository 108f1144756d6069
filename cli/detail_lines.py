"""The lines of `tt task show` below the task's fields: its notes, its children and its last events. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cli.output import STATE_STYLES, Cell
from cli.render import event_words, flaw_words, with_notes
from cli.styled import Styled
from cli.text import TITLE_CHARS_SHOWN, counted, event_number, icon_of, name_of, short_id, shortened, visible
from ledger import LinkKind, State, Task, TaskNoted
from town import local_times

if TYPE_CHECKING:
    from projections import Linked
    from town import Details

Line = tuple[Cell, Cell]
"""What stands at the left of a line, and what goes on below its own beginning."""


def detail_sections(
    details: Details, names: Mapping[str, str], removed: Mapping[str, str], *, is_past: bool
) -> Iterator[tuple[str, list[Line]]]:
    """The heading and the lines of each section that has some. `names` are those of the tasks that the events link to.

    `removed` has what removed tasks were called and about.
    """
    if details.notes:
        yield _notes_heading(details), _note_lines(details)
    if details.relatives.total:
        yield _children_heading(details, is_past=is_past), [_child_line(child) for child in details.relatives.children]
    for linked in details.links:
        yield _links_heading(details, linked), _link_lines(linked, removed)
    if details.events:
        yield _events_heading(details), _event_lines(details, names)


def _notes_heading(details: Details) -> str:
    if details.notes_total is not None and not details.has_more_notes:
        return f"{counted(details.notes_total, 'note')}:"
    number = "more than these" if details.notes_total is None else f"{details.notes_total:,}"
    return f"Last {counted(len(details.notes), 'note')} of {number}; `tt task history {_name(details)}` has them all:"


def _note_lines(details: Details) -> list[Line]:
    zone, times = local_times(recorded.position.time for recorded in details.notes)
    lines: list[Line] = []
    for recorded, time in zip(details.notes, times, strict=True):
        assert isinstance(recorded.data, TaskNoted)
        words = with_notes(visible(recorded.data.text), details.annotations.get(recorded.at, ()))
        lines.append((f"  {time} {zone}  {visible(recorded.actor)}  ", words))
    return lines


def _children_heading(details: Details, *, is_past: bool) -> str:
    relatives = details.relatives
    words = f"{relatives.total:,} {'child' if relatives.total == 1 else 'children'}"
    if relatives.states:
        words += f" ({', '.join(f'{count:,} {state}' for state, count in relatives.states.items())})"
    if not details.has_more_children:
        return f"{words}:"
    at = " --at WHEN" if is_past else ""
    more = f"`tt task list --parent {_name(details)} --offset {len(relatives.children)}{at}` has the others"
    return f"{words}, the first {len(relatives.children)}; {more}:"


def _child_line(child: Task) -> Line:
    agent = f"  ({visible(child.assigned_to)})" if child.assigned_to else ""
    state = Styled.of(f"{icon_of(child)} {child.state:<{_STATE_CHARS}}", STATE_STYLES[child.state])
    return Styled.assemble("  ", state, f"  {name_of(child)}  "), f"{visible(child.title)}{agent}"


_STATE_CHARS = max(map(len, State))


_LINKS = {
    (LinkKind.NEEDS, False): "Needs",
    (LinkKind.NEEDS, True): "Needed by",
    (LinkKind.RELATES, False): "Relates to",
    (LinkKind.RELATES, True): "Related to by",
    (LinkKind.DUPLICATES, False): "Duplicates",
    (LinkKind.DUPLICATES, True): "Duplicated by",
    (LinkKind.DISCOVERED_FROM, False): "Discovered from",
    (LinkKind.DISCOVERED_FROM, True): "Led to the discovery of",
}
"""The kind of a link, and whether it leads to the task that is shown -> what it says."""


def _links_heading(details: Details, linked: Linked) -> str:
    words = f"{_LINKS[linked.kind, linked.is_to_it]} {counted(linked.total, 'task')}"
    if not linked.has_more:
        return f"{words}:"
    # The ids of its own links are all in the JSON of the task.
    more = "" if linked.is_to_it else f"; `tt task show {_name(details)} --json` has the ids of all"
    return f"{words}, the first {len(linked.tasks)}{more}:"


def removed_links(details: Details) -> list[str]:
    """The ids of the removed tasks that links lead to."""
    return [task_id for linked in details.links for task_id, task in linked.tasks.items() if task is None]


def _link_lines(linked: Linked, removed: Mapping[str, str]) -> list[Line]:
    return [
        (f"  {'removed':<{_STATE_CHARS + 3}}  ", removed.get(task_id, short_id(task_id)))
        if task is None
        else _child_line(task)
        for task_id, task in linked.tasks.items()
    ]


def _events_heading(details: Details) -> str:
    if not details.has_more_events:
        return f"{counted(details.events_total, 'event')}:"
    number = f"{len(details.events):,} of {counted(details.events_total, 'event')}"
    return f"Last {number}; `tt task history {_name(details)}` has them all:"


def _event_lines(details: Details, names: Mapping[str, str]) -> list[Line]:
    zone, times = local_times(recorded.position.time for recorded in details.events)
    width = max(len(event_number(recorded.position)) for recorded in details.events)
    lines: list[Line] = []
    for recorded, time in zip(details.events, times, strict=True):
        flaw = details.flaws.get(recorded.at)
        words = event_words(recorded, names=names) if flaw is None else flaw_words(recorded, flaw)
        words = "noted" if recorded in details.notes else shortened(words, TITLE_CHARS_SHOWN)
        head = f"  {event_number(recorded.position):>{width}}  {time} {zone}  {visible(recorded.actor)}  "
        lines.append((head, with_notes(words, details.annotations.get(recorded.at, ()))))
    return lines


def _name(details: Details) -> str:
    """What to call the task in a command: its id is always one word."""
    return short_id(details.task.id)
