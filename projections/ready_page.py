"""ReadyPage: the tasks that can be begun, best first, on a board in memory; `live_board` finds the same in Redis. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ledger import BEGINNING, Position, Task
from projections.neighbours import BoardNeighbours
from projections.views.ready import PENDING, agent_part
from projections.views.view import Ranked


class ReadyFilter(Struct, frozen=True, kw_only=True):
    """Which tasks that can be begun are wanted.

    Those that nobody has, and, first, those that are assigned to `agent`. They have all of `tags`; a task that nobody has
    also has one of `roles`, if there are any.
    """

    agent: str | None = None
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class ReadyPage(Struct, frozen=True):
    """Some tasks that can be begun, best first, on the board at `position`."""

    tasks: tuple[Task, ...]
    has_more: bool
    position: Position = BEGINNING


def ready_on(
    tasks: Mapping[str, Task],
    wanted: ReadyFilter,
    *,
    limit: int | None,
    offset: int = 0,
    now_ms: int,
    position: Position,
) -> ReadyPage:
    """At most `limit` tasks that can be begun at a time, milliseconds since 1970 UTC, on a board with these tasks; `offset` are skipped."""
    neighbours = BoardNeighbours(tasks)
    own = None if wanted.agent is None else agent_part(wanted.agent)
    found: list[tuple[bool, int, Task]] = []
    for task in tasks.values():
        if neighbours.gate(task.id).from_ms > now_ms or not all(tag in task.tags for tag in wanted.tags):
            continue
        for entry in neighbours.entries(task.id):
            if not isinstance(entry, Ranked) or entry.score is None:
                continue
            is_fit = not wanted.roles or any(role in task.tags for role in wanted.roles)
            if entry.part == own or (entry.part == PENDING and is_fit):
                found.append((entry.part == PENDING, entry.score, task))
    found.sort(key=lambda each: each[:2])
    last = len(found) if limit is None else offset + limit
    return ReadyPage(tuple(task for _, _, task in found[offset:last]), has_more=last < len(found), position=position)
