"""Resources: the board, a task and its history by address, and which of them an event changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from agent_tools import inputs
from agent_tools.calls import board, event_rows, shown
from agent_tools.rows import Row, task_name
from ledger import TOWN_ID, InvalidValueError
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


def changed_by(task_ids: Iterable[str], titles: Mapping[str, Title]) -> Iterator[str]:
    """The addresses of what events of these tasks change, under each name that an answer gives a task: id, short id, alias.

    Clients need not quote all signs of a name, so each spelling is an address.
    """
    yield BOARD
    for task_id in task_ids:
        if task_id == TOWN_ID:
            continue
        title = titles.get(task_id)
        names = [task_id, task_name(task_id), *([] if title is None or title.alias is None else [title.alias])]
        for name in dict.fromkeys(names):
            for spelled in dict.fromkeys((quote(name, safe=""), quote(name, safe=_UNQUOTED), name)):
                yield from (f"tt://{kind}/{spelled}" for kind in ("task", "history"))
