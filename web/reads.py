"""What reads: tasks, histories, and all other questions that the command line asks, with its shapes."""

from __future__ import annotations

import importlib.metadata
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from ledger import BEGINNING, Position, State, check_name
from projections import Page, Sort, TaskFilter
from shapes import moment_shape, next_shape, reader_shape, shown_shape, tasks_shape
from shapes.board import card_shape
from town import Reader, Town
from web.answer_types import OneTask, Overview, Tasks
from web.answers import Answer
from web.endpoints import Asked, AtGiven, Endpoint

PAGE_TASKS: Final = 50
PAGE_TASKS_MAX: Final = 1_000
_DISTRIBUTION: Final = "tinytown-ledger"

Limit = Annotated[int, Meta(ge=1, le=PAGE_TASKS_MAX, description="At most so many tasks.")]
Offset = Annotated[int, Meta(ge=0, le=10_000_000, description="How many tasks to pass over.")]


class FilterGiven(AtGiven, frozen=True):
    """Conditions that all hold."""

    state: tuple[State, ...] = ()
    agent: str | None = None
    tag: tuple[str, ...] = ()
    not_tag: tuple[str, ...] = ()
    parent: str | None = None
    priority: tuple[Annotated[int, Meta(ge=0, le=4)], ...] = ()
    overdue: bool = False
    q: Annotated[str | None, Meta(description="Words that all stand in a task's texts.")] = None


class Fields(StrEnum):
    """How much of each task is given."""

    ALL = "all"
    CARD = "card"


class TasksGiven(FilterGiven, frozen=True):
    """A page of tasks."""

    sort: Sort = Sort.CREATED
    reverse: bool = False
    fields: Fields = Fields.ALL
    offset: Offset = 0
    limit: Limit = PAGE_TASKS


def town(asked: Asked, given: AtGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    first = asked.town.backend.store.start()
    end = asked.town.end()
    shape = {
        "town": asked.town.name,
        **moment_shape(position),
        **reader_shape(reader, when),
        "first": None if first == BEGINNING else moment_shape(first),
        "end": moment_shape(end),
        "states": reader.count_states(),
        "agents": reader.count_agents(),
        "actor": asked.town.actor,
        "may_write": asked.may_write,
        "program": importlib.metadata.version(_DISTRIBUTION),
    }
    return Answer(shape)


def tasks(asked: Asked, given: TasksGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    wanted = replace(filter_of(asked, given, reader), sort=given.sort, is_newest_first=given.reverse)
    page = page_of(reader, wanted, words=given.q, offset=given.offset, limit=given.limit)
    after = given.offset + len(page.tasks) if page.has_more else None
    shape = tasks_shape(
        asked.town,
        page.tasks,
        **(moment_shape(position) | reader_shape(reader, when)),
        total=page.total,
        **next_shape(offset=after),
        offset=given.offset,
    )
    if given.fields is Fields.CARD:
        shape["tasks"] = [card_shape(each) for each in page.tasks]
    return Answer(shape, tag_position(given, reader, position))


def task(asked: Asked, given: AtGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    return Answer(shown_shape(asked.town, reader, reader.details(asked.task), at=when), position)


def page_of(reader: Reader, wanted: TaskFilter, *, words: str | None, offset: int = 0, limit: int) -> Page:
    """The tasks that match, and have all these words in their texts, if there are any."""
    if words is None or not words.split():
        return reader.page(wanted, offset=offset, limit=limit)
    return reader.page_of_found(words.split(), wanted, offset=offset, limit=limit)


def filter_of(asked: Asked, given: FilterGiven, reader: Reader) -> TaskFilter:
    """The conditions, oldest first. TaskNotFoundError for a parent that never was."""
    return TaskFilter(
        state=given.state or None,
        agent=None if given.agent is None else check_name(given.agent, "agent name"),
        tag=given.tag or None,
        not_tag=given.not_tag or None,
        parent=None if given.parent is None else asked.town.events.id_of(given.parent),
        priority=given.priority or None,
        overdue_ms=reader.time_ms() if given.overdue else None,
    )


def shown_position(town: Town, reader: Reader) -> Position:
    """The position that an answer shows. Asked before the answer is read, so a tag is never newer than its answer."""
    return town.end() if reader.then is None else reader.then


def tag_position(given: FilterGiven, reader: Reader, position: Position) -> Position | None:
    """The position that an answer depends on; None if it depends on the time too, as what is overdue now does."""
    return None if given.overdue and reader.then is None else position


READS: Final = (
    Endpoint(
        "GET",
        "/",
        AtGiven,
        town,
        "The town: its moments, and how many tasks are in each state and of each agent.",
        answer=Overview,
    ),
    Endpoint("GET", "/tasks", TasksGiven, tasks, "A page of tasks, as `tt task list --json`.", answer=Tasks),
    Endpoint(
        "GET",
        "/tasks/{task}",
        AtGiven,
        task,
        "One task and what is around it, as `tt task show --json`.",
        answer=OneTask,
    ),
)
