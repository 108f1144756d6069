"""Resources: the board, a task and its history by address, and which of them an event changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from agent_tools import inputs
from agent_tools.calls import board, event_rows, shown
from agent_tools.rows import Row, task_name
from ledger import (
    TOWN_ID,
    Event,
    InvalidValueError,
    RecordedEvent,
    TaskDescribed,
    TaskNoted,
    TaskPrioritised,
    TaskScheduled,
    TaskTagged,
    TownEvent,
)
from projections import Asked, RedisNeighbours
from town import EventFilter, Town

if TYPE_CHECKING:
    from town import Title

BOARD: Final = "tt://board"
TEMPLATES: Final = {
    "tt://board/{at}": "The board at a moment",
    "tt://task/{task}": "One task, its texts in full",
    "tt://history/{task}": "The last events of a task",
}
HISTORY_EVENTS: Final = 100
TOLD_MAX: Final = 1_000
_BLOCKS_AS_BEFORE: Final[tuple[type[Event], ...]] = (
    TaskDescribed,
    TaskNoted,
    TaskPrioritised,
    TaskScheduled,
    TaskTagged,
    TownEvent,
)
"""The facts of a task that change nothing of what blocks others."""
_UNQUOTED: Final = "!$&'()*+,;=:@"
"""What RFC 3986 lets stand in a path as it is, beside letters, digits and `-._~`."""
_ADDRESS: Final = re.compile(r"tt://(?:(board)(?:/([^/?#]+))?|(task|history)/([^/?#]+))")


def check_address(address: str) -> re.Match[str]:
    """The parts of an address. InvalidValueError if it is none of a resource; of a task that is not there yet it can be."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        known = ", ".join([BOARD, *TEMPLATES])
        raise InvalidValueError("address", "names no resource of this town", f"There are {known}.")
    return found


def read_resource(town: Town, address: str) -> Row:
    """What stands at an address. InvalidValueError, TaskNotFoundError, MomentError."""
    found = check_address(address)
    name = unquote(found[4] or "")
    if found[3] == "task":
        return shown(town, name, chars_max=None)
    if found[3] == "history":
        wanted = EventFilter(tasks=frozenset([town.events.id_of(name)]))
        page = town.events.page(wanted, count=HISTORY_EVENTS)
        more = {} if page.before is None else {"cursor": str(page.before.seq)}
        return more | {"events": event_rows(town, page.events, is_of_one=True)}
    moment = None if found[2] is None else unquote(found[2])
    return board(town, inputs.Board(at=moment, limit=inputs.ROWS_MAX))


def may_block(recorded: RecordedEvent) -> bool:
    """Whether the event may change what blocks other tasks."""
    return not isinstance(recorded.data, _BLOCKS_AS_BEFORE)


def blocked_behind(town: Town, changed: Collection[str]) -> set[str]:
    """The other tasks that what changed of these may block: those that need them, and all below these and them, in a town that
    is caught up. Of more than TOLD_MAX some are left out. Source: SMEMBERS, level by level.
    """
    backend = town.backend
    ask = RedisNeighbours(backend.client, backend.keys, where=backend.where)
    found: set[str] = set()
    level = _some(changed)
    level = _some(level.union(*ask(Asked(needed_by=level)).needed_by.values()))
    while level and len(found) < TOLD_MAX:
        found |= level
        level = _some(set[str]().union(*ask(Asked(children=level)).children.values()) - found)
    return _some(found.difference(changed))


def _some(task_ids: Iterable[str]) -> set[str]:
    """At most TOLD_MAX of them."""
    return set(islice(task_ids, TOLD_MAX))


def changed_by(task_ids: Collection[str], blocked: Collection[str], titles: Mapping[str, Title]) -> Iterator[str]:
    """The addresses of what events of some tasks change, and of the tasks that are `blocked` behind them, under each name that
    an answer gives a task: id, short id, alias.

    Clients need not quote all signs of a name, so each spelling is an address.
    """
    yield BOARD
    for task_id in (*task_ids, *blocked):
        if task_id == TOWN_ID:
            continue
        title = titles.get(task_id)
        kinds = ("task", "history") if task_id in task_ids else ("task",)
        names = [task_id, task_name(task_id), *([] if title is None or title.alias is None else [title.alias])]
        for name in dict.fromkeys(names):
            for spelled in dict.fromkeys((quote(name, safe=""), quote(name, safe=_UNQUOTED), name)):
                yield from (f"tt://{kind}/{spelled}" for kind in kinds)
