"""Links: the tasks around a task that it is linked to, and those that are linked to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import Keys, LinkKind, Task, exchange, raise_error, redis_errors
from projections.views.by_link import ByLink, link_part
from projections.views.created import Created

if TYPE_CHECKING:
    from redis import Redis

    from projections.live_board import LiveBoard

ORDERED_IDS_MAX: Final = 10_000
"""If more tasks than this are linked to one, they come in the order of their ids."""


class Linked(Struct, frozen=True):
    """The first tasks at the other end of a task's links of one kind, and how many there are.

    `is_to_it` is set if the links lead to the task, and not from it. A removed task is None; the key is its id.
    """

    kind: LinkKind
    is_to_it: bool
    tasks: Mapping[str, Task | None]
    total: int

    @property
    def has_more(self) -> bool:
        return self.total > len(self.tasks)


def links_on(task: Task, tasks: Mapping[str, Task], *, limit: int) -> tuple[Linked, ...]:
    """The links of a task on a board in memory: first those from it, of each kind that has some, then those to it; oldest tasks
    first. Pure.
    """
    found = []
    for is_to_it in (False, True):
        for kind in LinkKind:
            ids = [each.id for each in tasks.values() if task.id in each.links(kind)] if is_to_it else task.links(kind)
            in_order = sorted(ids, key=lambda each: (_number(tasks.get(each)), each))
            if in_order:
                found.append(
                    Linked(kind, is_to_it, {each: tasks.get(each) for each in in_order[:limit]}, len(in_order))
                )
    return tuple(found)


def read_links(
    client: Redis, keys: Keys, live: LiveBoard, task: Task, *, limit: int, where: str = "redis"
) -> tuple[Linked, ...]:
    """The same, as of the checkpoint. Source: SCARD, SMEMBERS, ZMSCORE, MGET."""
    parts = {kind: keys.view(ByLink.name, link_part(kind, task.id)) for kind in LinkKind}
    with redis_errors(where):
        totals = exchange(client, [("SCARD", key) for key in parts.values()])
        raise_error(totals)
        # Many ids are put in order by the server, which sends the first.
        members = exchange(
            client,
            [
                ("SMEMBERS", key) if total <= ORDERED_IDS_MAX else ("SORT", key, "ALPHA", "LIMIT", 0, limit)
                for key, total in zip(parts.values(), totals, strict=True)
                if total
            ],
        )
        raise_error(members)
        read = iter([[each.decode(errors="replace") for each in reply] for reply in members])
        found = [(kind, False, list(task.links(kind)), len(task.links(kind))) for kind in LinkKind]
        found += [(kind, True, next(read), int(total)) for kind, total in zip(LinkKind, totals, strict=True) if total]
        ids = list(dict.fromkeys(each for _, _, some, _ in found for each in some))
        scores = cast("list[float | None]", client.zmscore(keys.view(Created.name), ids)) if ids else []
    order = dict(zip(ids, scores, strict=True))
    shown = [(kind, is_to_it, _first(some, order, limit), total) for kind, is_to_it, some, total in found if some]
    wanted = list(dict.fromkeys(each for _, _, some, _ in shown for each in some))
    # One that is still on the board and whose snapshot is lost is folded.
    tasks = dict(zip(wanted, live.get_sound(wanted), strict=True))
    for task_id in wanted:
        if tasks[task_id] is None and order[task_id] is not None:
            tasks[task_id] = live.fold_lost(task_id)
    return tuple(
        Linked(kind, is_to_it, {each: tasks[each] for each in some}, total) for kind, is_to_it, some, total in shown
    )


def _first(ids: Sequence[str], order: Mapping[str, float | None], limit: int) -> list[str]:
    return sorted(ids, key=lambda each: (order[each] or 0, each))[:limit]


def _number(task: Task | None) -> int:
    return 0 if task is None else task.created_number or 0
