"""The JSON shapes that `--json` prints; docs/reference/json.md shows each. Pure.

Tasks, events and moments are here. The other modules hold the shapes of one group of commands each, so that a command
imports no more than it prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import LinkKind, Position, RecordedEvent, State, Step, Task, TaskNoted, Unfit, format_ms, to_ms
from town import local_time

if TYPE_CHECKING:
    from projections import Linked
    from shapes.given import Beside, Fields, OpenGroup, When
    from shapes.task import TaskShape
    from town import Annotation, Branch, Details, LostTasks, Reader, Receipt, Town

Shape = dict[str, Any]


def task_shape(task: Task | None) -> TaskShape | None:
    """A task as its canonical snapshot, with its title."""
    if task is None:
        return None
    from shapes.task import shape_of  # noqa: PLC0415 - only JSON pays for it

    return shape_of(task)


def picked_shape(shape: Shape, fields: Fields) -> Shape:
    """A shape with only these fields of each task in it, null where a task does not have one; with all if none are named."""
    return _picked(shape, fields.names) if fields.names else shape


def receipt_shape(town: Town, receipt: Receipt) -> Shape:
    return {"town": town.name, "task": task_shape(receipt.task), "positions": receipt.positions}


def tasks_shape(town: Town, tasks: Sequence[Task], **more: Any) -> Shape:  # noqa: ANN401 - further fields of the shape
    """A list of tasks; these are all, unless `total` says otherwise."""
    total = {} if "total" in more else {"total": len(tasks)}
    return {"town": town.name, **more, **total, "tasks": [task_shape(task) for task in tasks]}


def board_shape(
    town: Town, tasks: Sequence[Task], position: Position, states: Mapping[State, int], *, at: When | None = None
) -> Shape:
    """A whole board after the event at a position, and how many tasks are in each state."""
    return tasks_shape(town, tasks, **moment_shape(position), **understood_shape(at=at), states=states)


def one_task_shape(town: Town, reader: Reader, task: Task, *, at: When | None) -> Shape:
    """One task alone, now or at the reader's moment."""
    return {"town": town.name, **reader_shape(reader, at), "task": task_shape(task)}


def shown_shape(town: Town, reader: Reader, details: Details, *, at: When | None) -> Shape:
    """One task, now or at the reader's moment, with its last notes and events, and its first children and linked tasks."""
    flaws, notes = details.flaws, details.annotations
    return {
        **one_task_shape(town, reader, details.task, at=at),
        "notes": {
            "total": details.notes_total,
            "has_more": details.has_more_notes,
            "notes": [_note_shape(each, notes.get(each.at, ())) for each in details.notes],
        },
        "children": {
            "total": details.relatives.total,
            "has_more": details.has_more_children,
            "states": details.relatives.states or None,
            "tasks": [task_shape(child) for child in details.relatives.children],
        },
        "links": _links_shape(details.links),
        "events": {
            "total": details.events_total,
            "has_more": details.has_more_events,
            "events": [event_shape(each, flaws.get(each.at), notes.get(each.at, ())) for each in details.events],
        },
    }


def _links_shape(links: Sequence[Linked]) -> Shape:
    """Each kind of link in both directions, with the first tasks at its other end; a removed task is null."""
    found = {(each.kind, each.is_to_it): each for each in links}
    shape: Shape = {}
    for kind in LinkKind:
        for is_to_it in (False, True):
            linked = found.get((kind, is_to_it))
            tasks = {} if linked is None else linked.tasks
            shape[_LINKED_BY[kind] if is_to_it else kind.value] = {
                "total": 0 if linked is None else linked.total,
                "has_more": linked is not None and linked.has_more,
                "tasks": [{"id": task_id, "task": task_shape(task)} for task_id, task in tasks.items()],
            }
    return shape


_LINKED_BY = {
    LinkKind.NEEDS: "needed_by",
    LinkKind.RELATES: "related_by",
    LinkKind.DUPLICATES: "duplicated_by",
    LinkKind.DISCOVERED_FROM: "led_to",
}
"""What the links that lead to the task are called."""


def _note_shape(recorded: RecordedEvent, notes: Sequence[Annotation]) -> Shape:
    """A note on a task: the moment of its event, who wrote it, and its text."""
    assert isinstance(recorded.data, TaskNoted)
    shape: Shape = moment_shape(recorded.position) | {"actor": recorded.actor, "text": recorded.data.text}
    return shape | {"annotations": [annotation_shape(note) for note in notes]} if notes else shape


def current_shape(town: Town, reader: Reader, agent: str, task: Task | None, *, at: When | None) -> Shape:
    """What an agent works on; null if it has no open task."""
    return {"town": town.name, **reader_shape(reader, at), "agent": agent, "task": task_shape(task)}


def open_shape(
    town: Town, reader: Reader, groups: Sequence[OpenGroup], lost: LostTasks | None, *, at: When | None
) -> Shape:
    """The open tasks, agent by agent, and which of them are lost."""
    shapes = [
        {
            "agent": group.agent,
            "total": group.total,
            **next_shape(all=True if group.more else None),
            "tasks": [task_shape(task) for task in group.tasks],
        }
        for group in groups
    ]
    total, more = sum(group.total for group in groups), sum(group.more for group in groups)
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "total": total,
        **next_shape(all=True if more else None),
        "agents": shapes,
        "lost": lost_shape(lost, running=sum(group.running for group in groups)),
    }


def lost_shape(lost: LostTasks | None, *, running: int) -> Shape | None:
    """The lost ones among the running tasks, and whether there may be more; None if that is not known, as of the past."""
    if not running:
        return {"tasks": [], "has_more": False}
    if lost is None:
        return None
    from shapes.agents import lost_task_shape  # noqa: PLC0415 - only where something runs

    return {"tasks": [lost_task_shape(each) for each in lost.tasks], "has_more": lost.has_more}


def tree_shape(town: Town, reader: Reader, branches: Sequence[Branch], *, at: When | None) -> Shape:
    shapes = [branch_shape(branch) for branch in branches]
    return {"town": town.name, **reader_shape(reader, at), "total": len(shapes), "tasks": shapes}


def branch_shape(branch: Branch) -> Shape:
    """A task of a tree: its depth, how many children it has, and how many of them are completed."""
    children = branch.children
    return {
        "depth": branch.depth,
        "children": sum(children.values()),
        "done": children.get(State.COMPLETED, 0),
        "task": task_shape(branch.task),
    }


def event_shape(recorded: RecordedEvent, flaw: str | None = None, notes: Sequence[Annotation] = ()) -> Shape:
    """An event as it is stored, with its position, number and recorded time; `flaw` says why no command can have made it.

    `notes` are what people wrote on it.
    """
    position = recorded.position
    shape: Shape = {
        "position": position,
        "number": position.seq,
        "time": format_ms(position.ms),
        "type": recorded.type,
        "schema": recorded.schema,
        "task": recorded.task,
        "version": recorded.version,
        "actor": recorded.actor,
        "command": recorded.command,
        "prev": recorded.prev,
        "data": recorded.data.content if isinstance(recorded.data, Unfit) else msgspec.to_builtins(recorded.data),
    }
    optional = {
        "reason": recorded.reason,
        "cause": recorded.cause,
        "occurred_at": recorded.occurred_at,
        "flaw": flaw,
        "annotations": [annotation_shape(note) for note in notes] or None,
    }
    return shape | {name: value for name, value in optional.items() if value is not None}


def events_shape(
    town: Town,
    events: Sequence[RecordedEvent],
    beside: Beside,
    **more: Any,  # noqa: ANN401 - further fields of the shape
) -> Shape:
    """A list of events, each with the title of its task."""
    return {"town": town.name, **more, "events": [listed_event_shape(each, beside) for each in events]}


def listed_event_shape(recorded: RecordedEvent, beside: Beside) -> Shape:
    """An event in a list of many tasks: with the alias of its task, and the title that the task has now or had last."""
    title = beside.titles.get(recorded.task)
    about: Shape = {"alias": None, "title": None} if title is None else {"alias": title.alias, "title": title.text}
    return event_shape(recorded, beside.flaws.get(recorded.at), beside.notes.get(recorded.at, ())) | about


def next_shape(**options: object) -> Shape:
    """Whether a page has a next one, and by which option one gets it: `{"has_more": true, "next": {"offset": 50}}`.

    The value of an option is None where there is no next page.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return {"has_more": bool(given), "next": given or None}


def history_shape(town: Town, task_id: str, steps: Sequence[Step], notes: Mapping[str, Sequence[Annotation]]) -> Shape:
    events = [step_shape(step, notes.get(step.event.at, ())) for step in steps]
    return {"town": town.name, "task": task_id, "total": len(events), "events": events}


def annotation_shape(note: Annotation) -> Shape:
    """A note on an event: the moment of its own event, who wrote it, and its text."""
    return moment_shape(note.position) | {"actor": note.actor, "text": note.text}


def annotated_shape(town: Town, event: Position, *, note: Position) -> Shape:
    """A new note: the event it is on, and its own event."""
    return {"town": town.name, "event": event, "positions": [note]}


def step_shape(step: Step, notes: Sequence[Annotation] = ()) -> Shape:
    """An event of a history, with the fields it changed."""
    return event_shape(step.event, step.flaw, notes) | {"changes": [change._asdict() for change in step.changes]}


def reader_shape(reader: Reader, at: When | None) -> Shape:
    """The moment that is shown, if it is not now, and how `--at` was understood."""
    return ({} if reader.then is None else moment_shape(reader.then)) | understood_shape(at=at)


def understood_shape(**whens: When | None) -> Shape:
    """How each WHEN was understood, by the name of its option; empty if none was given."""
    given = {name: _when_shape(when) for name, when in whens.items() if when is not None}
    return {"understood": given} if given else {}


def _when_shape(when: When) -> Shape:
    shape: Shape = {"when": when.text}
    if isinstance(when.moment, datetime):
        shape |= {"time": format_ms(to_ms(when.moment)), "local": local_time(when.moment)}
    if when.event is not None:
        shape |= moment_shape(when.event) | {"local": local_time(when.event.time)}
    return shape if when.note is None else shape | {"note": when.note}


def moment_shape(position: Position) -> Shape:
    return {"position": position, "number": position.seq, "time": format_ms(position.ms)}


def _picked(value: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - whatever a shape has in it
    from shapes.task import TaskShape  # noqa: PLC0415 - as above

    if isinstance(value, TaskShape):
        return {name: getattr(value, name) for name in names}
    if isinstance(value, dict):
        return {key: _picked(each, names) for key, each in value.items()}
    return [_picked(each, names) for each in value] if isinstance(value, list) else value
