"""The board in columns at any moment, and the steps that lead from one moment to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from ledger import BEGINNING, InvalidValueError, Position, State, Task
from projections import TaskFilter
from shapes.board import Column, columns_shape, steps_shape
from town import Reader, read_steps_after, read_steps_upto
from web.answer_types import Board, Steps
from web.answers import Answer
from web.endpoints import Asked, Endpoint, Given
from web.reads import FilterGiven, Offset, filter_of, page_of, shown_position, tag_position

COLUMN_TASKS: Final = 100
COLUMN_TASKS_MAX: Final = 1_000
OPEN_TASKS_MAX: Final = 5_000
"""By agent, parent or priority a board shows open tasks: at most so many, the newest."""
STEPS: Final = 200
STEPS_MAX: Final = 2_000
_OPEN: Final = (State.PENDING, State.ASSIGNED, State.RUNNING)


class By(StrEnum):
    """What the tasks of a column share."""

    STATE = "state"
    AGENT = "agent"
    PARENT = "parent"
    PRIORITY = "priority"


class BoardGiven(FilterGiven, frozen=True):
    """A board: what its columns are, and which tasks it shows."""

    by: By = By.STATE
    limit: Annotated[int, Meta(ge=1, le=COLUMN_TASKS_MAX, description="At most so many cards in a column.")] = (
        COLUMN_TASKS
    )
    offset: Offset = 0


class StepsGiven(Given, frozen=True):
    """Steps after a moment, or up to one."""

    after: Annotated[str, Meta(description="The steps behind this moment; 0 is the beginning.")] | None = None
    before: Annotated[str, Meta(description="The last steps up to this moment, its own event too.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=STEPS_MAX, description="At most so many steps.")] = STEPS


def board(asked: Asked, given: BoardGiven) -> Answer:
    reader, _ = asked.at(given.at)
    position = shown_position(asked.town, reader)
    wanted = replace(filter_of(asked, given, reader), is_newest_first=True)
    columns = _by_state(reader, wanted, given) if given.by is By.STATE else _of_open(reader, wanted, given)
    return Answer(columns_shape(asked.town, position, given.by, columns), tag_position(given, reader, position))


def steps(asked: Asked, given: StepsGiven) -> Answer:
    if (given.after is None) == (given.before is None):
        raise InvalidValueError("steps", "begin after a moment or end at one", "Give one of after and before.")
    store = asked.town.backend.store
    if given.before is not None:
        upto = position_of(asked, given.before, name="before")
        found = read_steps_upto(store, upto, limit=given.limit)
        first = found[0].event.position.seq if found else 1
        after = BEGINNING if first == 1 else store.position_of(first - 1)
        assert after is not None, "the event before the first one is there"
        return Answer(steps_shape(asked.town, after, found, has_more=first > 1), upto)
    assert given.after is not None
    after = position_of(asked, given.after, name="after")
    found = read_steps_after(store, after, limit=given.limit)
    last = found[-1].event.position if found else after
    return Answer(steps_shape(asked.town, after, found, has_more=last != store.end()))


def position_of(asked: Asked, text: str, *, name: str) -> Position:
    """The position of a moment; 0 is before the first event. InvalidValueError, MomentError."""
    if text.strip() in ("0", BEGINNING):
        return BEGINNING
    when = asked.when(text, name=name)
    assert when is not None
    return asked.town.events.position_at(when.moment if when.event is None else when.event)


def _by_state(reader: Reader, wanted: TaskFilter, given: BoardGiven) -> list[Column]:
    """A column for each state, also where it is empty."""
    columns = []
    for state in State:
        if given.state and state not in given.state:
            columns.append(Column(state.value, 0, ()))
            continue
        page = page_of(reader, replace(wanted, state=state), words=given.q, offset=given.offset, limit=given.limit)
        total = given.offset + len(page.tasks) if page.total is None else page.total
        columns.append(Column(state.value, total, page.tasks, offset=given.offset))
    return columns


def _of_open(reader: Reader, wanted: TaskFilter, given: BoardGiven) -> list[Column]:
    """The open tasks, a column for each agent, parent or priority that one of them has."""
    by, shown = given.by, slice(given.offset, given.offset + given.limit)
    states = tuple(state for state in _OPEN if not given.state or state in given.state)
    tasks = page_of(reader, replace(wanted, state=states), words=given.q, limit=OPEN_TASKS_MAX).tasks if states else ()
    groups: defaultdict[str | int | None, list[Task]] = defaultdict(list)
    for task in tasks:
        groups[_KEYS[by](task)].append(task)
    titles = _titles(reader, groups) if by is By.PARENT else {}
    return [
        Column(key, len(groups[key]), groups[key][shown], titles.get(key), offset=given.offset)
        for key in sorted(groups, key=_in_order)
    ]


def _titles(
    reader: Reader, parents: Sequence[str | int | None] | defaultdict[str | int | None, list[Task]]
) -> dict[str | int | None, str]:
    found = reader.titles(key for key in parents if isinstance(key, str))
    return {key: title.text for key, title in found.items()}


_KEYS: Final[dict[By, Callable[[Task], str | int | None]]] = {
    By.AGENT: lambda task: task.holder,
    By.PARENT: lambda task: task.parent_id,
    By.PRIORITY: lambda task: task.priority,
}


def _in_order(key: str | int | None) -> tuple[bool, str | int]:
    """What has no key comes last."""
    return key is None, "" if key is None else key


BOARD: Final = (
    Endpoint("GET", "/board", BoardGiven, board, "The board in columns, at any moment.", answer=Board),
    Endpoint("GET", "/steps", StepsGiven, steps, "What each event changed on the board.", answer=Steps),
)
