"""What each tool does with an open town. Every call returns what the agent reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from agent_tools import inputs
from agent_tools.inputs import Outcome, Step
from agent_tools.pages import Place, read_page
from agent_tools.rows import (
    TEXT_CHARS,
    Row,
    cut,
    event_row,
    first_of,
    task_name,
    task_row,
    task_whole,
    without_empty,
)
from ledger import (
    PRIORITY_DEFAULT,
    TOWN_ID,
    CommandRejectedError,
    LedgerError,
    LinkKind,
    RecordedEvent,
    Task,
    format_ms,
)
from projections import BlockedTask, TaskFilter
from town import KEEP, EventFilter, Reader, Receipt, TimeSyntaxError, Town, in_local_zone, understand_ahead

_Change = Callable[..., Receipt]

NONE: Final = "none"
"""What takes a time or a parent away."""


def ready(town: Town, given: inputs.Ready) -> Row:
    agent = given.agent or town.actor

    def read(place: Place) -> tuple[tuple[Task, ...], bool]:
        page = place.reader.ready(agent=agent, tags=given.tags, limit=given.limit, offset=place.offset)
        return page.tasks, page.has_more

    place, (tasks, has_more) = read_page(town, read, cursor=given.cursor)
    return without_empty(
        {
            "at": place.position.seq,
            "cursor": place.cursor(len(tasks), has_more=has_more),
        }
    ) | {"tasks": [task_row(task) for task in tasks]}


def next_(town: Town, given: inputs.Next) -> Row:
    agent = given.agent or town.actor
    receipt = town.take_next(agent, tags=given.tags, is_started=given.start)
    if receipt is not None:
        return shown(town, receipt.task.id)
    waiting = town.waiting_briefly(given.tags)
    counts = {"pending": waiting.pending, "blocked": waiting.blocked, "asked": waiting.asked, "later": waiting.later}
    return {"task": None} | {name: count for name, count in counts.items() if count}


def show(town: Town, given: inputs.Show) -> Row:
    return shown(town if given.at is None else town.at(given.at), given.task)


def create(town: Town, given: inputs.Create) -> Row:
    receipt = town.create(
        given.text,
        agent=given.agent,
        tags=given.tags,
        parent=given.parent,
        alias=given.alias,
        priority=PRIORITY_DEFAULT if given.priority is None else given.priority,
        due=_time(given.due, is_end=True),
        not_before=_time(given.not_before, is_end=False),
        needs=given.needs,
    )
    return _done(receipt)


def update(town: Town, given: inputs.Update) -> Row:
    changes = _changes(town, given)
    if not changes:
        message = "Nothing to change was given. Give a step, a note, or what is to become different."
        raise CommandRejectedError(message)
    done: list[str] = []
    receipt: Receipt | None = None
    # Only the first change stands on the version that the agent saw; the others stand on it.
    expected = given.expect
    appended = 0
    for name, change in changes:
        try:
            receipt = change(expected_version=expected)
        except LedgerError as error:
            if done:
                error.add_note(f"Done before that: {', '.join(done)}.")
            raise
        expected = None if given.expect is None else receipt.task.version
        appended += len(receipt.positions)
        done.append(name)
    assert receipt is not None
    return _done(receipt, is_new=appended > 0)


def finish(town: Town, given: inputs.Finish) -> Row:
    agent = _worker(town, given.task)
    if given.outcome is Outcome.COMPLETED:
        receipt = town.complete(given.task, result=given.text, agent=agent, expected_version=given.expect)
    else:
        receipt = town.fail(given.task, error=given.text, agent=agent, expected_version=given.expect)
    return _done(receipt)


def ask(town: Town, given: inputs.Ask) -> Row:
    return _done(town.ask(given.task, given.question, choices=given.choices))


def log(town: Town, given: inputs.Log) -> Row:
    wanted = EventFilter(tasks=None if given.task is None else frozenset([town.events.id_of(given.task)]))
    page = town.events.page(wanted, count=given.limit, before=given.cursor)
    return without_empty({"cursor": None if page.before is None else str(page.before.seq)}) | {
        "events": event_rows(town, page.events, is_of_one=given.task is not None)
    }


def board(town: Town, given: inputs.Board) -> Row:
    wanted = TaskFilter(state=given.state, agent=given.agent, tag=given.tag, parent=given.parent)

    def read(place: Place) -> Row:
        page = place.reader.page(wanted, offset=place.offset, limit=given.limit)
        counts = {} if place.offset else place.reader.count_states()
        return without_empty(
            {
                "at": place.position.seq,
                "time": format_ms(place.position.ms),
                "counts": {state: count for state, count in counts.items() if count},
                "cursor": place.cursor(len(page.tasks), has_more=page.has_more),
            }
        ) | {"tasks": [task_row(task) for task in page.tasks]}

    return read_page(town, read, at=given.at, cursor=given.cursor)[1]


def search(town: Town, given: inputs.Search) -> Row:
    def read(place: Place) -> Row:
        found = place.reader.search(given.words.split(), offset=place.offset, limit=given.limit)
        tasks = [hit.task for hit in found.hits if hit.task is not None]
        has_more = place.offset + len(found.hits) < found.total
        return (
            {"total": found.total}
            | without_empty({"cursor": place.cursor(len(found.hits), has_more=has_more)})
            | {"tasks": [task_row(task) for task in tasks]}
        )

    return read_page(town, read, at=given.at, cursor=given.cursor)[1]


CALLS: Final[Mapping[str, Callable[[Town, Any], Row]]] = {
    "task_ready": ready,
    "task_next": next_,
    "task_show": show,
    "task_create": create,
    "task_update": update,
    "task_finish": finish,
    "task_ask": ask,
    "task_log": log,
    "board_at": board,
    "task_search": search,
}


def shown(reader: Reader, task_id: str, *, chars_max: int | None = TEXT_CHARS) -> Row:
    """One task with all that is around it."""
    details = reader.details(task_id)
    task, relatives = details.task, details.relatives
    around = [each for each in (relatives.parent, *relatives.children) if each is not None]
    names = {each.id: task_name(each.id, each.alias) for each in around}
    linked = {each for kind in LinkKind for each in task.links(kind)} - names.keys()
    names |= {each: task_name(each, title.alias) for each, title in reader.titles(linked).items()}
    blocks = None if task.state.is_terminal else reader.blocks(task.id)
    return task_whole(task, names=names, chars_max=chars_max) | without_empty(
        {
            **first_of("blocked_by", _blocks(blocks), is_whole=chars_max is None),
            "notes": [_note(each, chars_max) for each in details.notes],
            "more_notes": details.has_more_notes,
            "children": [task_row(child) for child in relatives.children],
            "more_children": details.has_more_children,
        }
    )


def event_rows(reader: Reader, events: Iterable[RecordedEvent], *, is_of_one: bool = False) -> list[Row]:
    """Rows of events, with the names of their tasks unless they are all of one."""
    shown_events = list(events)
    titles = {} if is_of_one else reader.titles(each.task for each in shown_events)
    return [event_row(each, name=None if is_of_one else _named(each.task, titles)) for each in shown_events]


def _named(task_id: str, titles: Mapping[str, Any]) -> str | None:
    if task_id == TOWN_ID:
        return None
    title = titles.get(task_id)
    return task_name(task_id, None if title is None else title.alias)


def _note(recorded: RecordedEvent, chars_max: int | None) -> Row:
    text = getattr(recorded.data, "text", "")
    return {"by": recorded.actor, "text": text if chars_max is None else cut(text, chars_max)}


def _blocks(blocked: BlockedTask | None) -> list[Row]:
    if blocked is None:
        return []
    return [
        without_empty(
            {
                "kind": block.kind,
                "of": None if block.holder.id == blocked.task.id else task_name(block.holder.id, block.holder.alias),
                **_blocker(block.blocker_id, block.blocker),
            }
        )
        for block in blocked.blocks
    ]


def _blocker(task_id: str | None, task: Task | None) -> Row:
    if task_id is None:
        return {}
    if task is None:
        return {"task": task_name(task_id), "state": "removed"}
    return {"task": task_name(task.id, task.alias), "state": task.state}


def _changes(town: Town, given: inputs.Update) -> list[tuple[str, _Change]]:
    """The changes that are asked for, each with its name, in the order of the fields."""
    task, reason = given.task, given.reason
    is_taking = given.step in (Step.START, Step.CLAIM)
    parent = None if given.parent == NONE else given.parent
    due = KEEP if given.due is None else _time(given.due, is_end=True)
    not_before = KEEP if given.not_before is None else _time(given.not_before, is_end=False)
    add, remove = given.add_tags, given.remove_tags
    has_times = given.due is not None or given.not_before is not None
    changes: list[tuple[str, bool, Callable[..., Receipt]]] = [
        (f"step {given.step}", given.step is not None, partial(_step, town, given)),
        ("agent", given.agent is not None and not is_taking, partial(town.assign, task, given.agent or "")),
        ("note", given.note is not None, partial(_note_on, town, task, given.note or "")),
        ("text", given.text is not None, partial(town.describe, task, given.text or "")),
        ("tags", bool(add or remove), partial(town.tag, task, add=add, remove=remove)),
        ("priority", given.priority is not None, partial(town.prioritise, task, given.priority or 0)),
        ("times", has_times, partial(town.schedule, task, due=due, not_before=not_before)),
        ("needs", bool(given.needs), partial(town.link, task, given.needs)),
        ("needs_no_more", bool(given.needs_no_more), partial(town.unlink, task, given.needs_no_more, LinkKind.NEEDS)),
        ("parent", given.parent is not None, partial(town.move, task, parent)),
    ]
    return [(name, partial(change, reason=reason)) for name, is_given, change in changes if is_given]


def _note_on(town: Town, task: str, text: str, *, reason: str | None, expected_version: int | None) -> Receipt:
    """Note something. A note is its own reason."""
    del reason
    return town.note(task, text, expected_version=expected_version)


def _step(town: Town, given: inputs.Update, *, reason: str | None, expected_version: int | None) -> Receipt:
    """Start, claim, requeue, reopen or cancel."""
    task = given.task
    if given.step is Step.START:
        agent = given.agent or _worker(town, task)
        return town.start(task, agent=agent, reason=reason, expected_version=expected_version)
    if given.step is Step.CLAIM:
        return town.claim(task, given.agent or town.actor, reason=reason, expected_version=expected_version)
    steps = {Step.REQUEUE: town.requeue, Step.REOPEN: town.reopen, Step.CANCEL: town.cancel}
    assert given.step is not None
    return steps[given.step](task, reason=reason, expected_version=expected_version)


def _worker(town: Town, task_id: str) -> str | None:
    """Who works on a task that nobody has: the one that asks. A task that somebody has stays theirs."""
    return town.actor if town.task(task_id).holder is None else None


def _time(text: str | None, *, is_end: bool) -> datetime | None:
    """CommandRejectedError if the text is no time to come."""
    if text is None or text.strip().lower() == NONE:
        return None
    try:
        return understand_ahead(text, now=in_local_zone(datetime.now(UTC)), is_end=is_end)[0]
    except TimeSyntaxError as error:
        raise CommandRejectedError(str(error)) from error


def _done(receipt: Receipt, *, is_new: bool | None = None) -> Row:
    """What a change led to; `unchanged` says that it was so already."""
    is_changed = bool(receipt.positions) if is_new is None else is_new
    row = {**task_row(receipt.task), "state": receipt.task.state, "version": receipt.task.version}
    return row if is_changed else row | {"unchanged": True}
