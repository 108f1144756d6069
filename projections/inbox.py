"""InboxPage: a part of what waits for people, in order, read from the view or gathered from tasks of any moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import Keys, State, Task, exchange, raise_error, redis_errors
from projections.errors import ViewsIncompleteError
from projections.views.counts import Counts
from projections.views.inbox import FAILED, QUESTION, REVIEW, Inbox

if TYPE_CHECKING:
    from redis import Redis

    from projections.live_board import LiveBoard

_PARTS: Final = (QUESTION, FAILED, REVIEW)
_NEWEST_FIRST: Final = frozenset({FAILED})
"""The parts of which the last ones matter most. What waits for an answer or a look comes oldest first."""
_view: Final = Inbox()


class InboxPage(Struct, frozen=True):
    """The first tasks of a part, and how many it has."""

    tasks: tuple[Task, ...]
    total: int

    @property
    def has_more(self) -> bool:
        return self.total > len(self.tasks)


class InboxPages(Struct, frozen=True):
    """Tasks with an open question, failed tasks that nobody dealt with, tasks to review; and how many tasks are running."""

    questions: InboxPage
    failed: InboxPage
    reviews: InboxPage
    running: int


def read_inbox(client: Redis, keys: Keys, live: LiveBoard, *, limit: int | None, where: str = "redis") -> InboxPages:
    """At most `limit` tasks of each part, as of the checkpoint. ViewsIncompleteError. Source: ZCARD, ZRANGE, HGET, MGET."""
    last = -1 if limit is None else limit - 1
    commands: list[tuple[str | int, ...]] = [("HGET", keys.view(Counts.name, "state"), State.RUNNING)]
    for part in _PARTS:
        key = keys.view(Inbox.name, part)
        commands += [("ZCARD", key), ("ZRANGE", key, 0, last, *(("REV",) if part in _NEWEST_FIRST else ()))]
    with redis_errors(where):
        running, *replies = exchange(client, commands)
        raise_error([running, *replies])
    ids = [[task_id.decode(errors="replace") for task_id in cast("list[bytes]", found)] for found in replies[1::2]]
    tasks = {task.id: task for task in live.get_listed([task_id for each in ids for task_id in each])}
    pages = [
        InboxPage(tuple(tasks[task_id] for task_id in found if part in _parts_of(tasks.get(task_id))), int(total))
        for part, found, total in zip(_PARTS, ids, replies[0::2], strict=True)
    ]
    questions, failed, reviews = pages
    return InboxPages(questions, failed, reviews, _number_of(running, keys))


def gather_inbox(tasks: Iterable[Task], *, limit: int | None) -> InboxPages:
    """The same, from all tasks of a town. Pure."""
    found: defaultdict[str | None, list[tuple[int, str, Task]]] = defaultdict(list)
    running = 0
    for task in tasks:
        running += task.state is State.RUNNING
        for entry in _view.entries(task):
            found[entry.part].append((entry.score or 0, task.id, task))
    pages = []
    for part in _PARTS:
        in_order = sorted(found[part], key=lambda each: each[:2], reverse=part in _NEWEST_FIRST)
        pages.append(InboxPage(tuple(task for *_, task in in_order[:limit]), len(in_order)))
    questions, failed, reviews = pages
    return InboxPages(questions, failed, reviews, running)


def _parts_of(task: Task | None) -> Mapping[str | None, None]:
    """The parts that a task is in; none if it was removed since its id was read."""
    return {} if task is None else dict.fromkeys(entry.part for entry in _view.entries(task))


def _number_of(count: object, keys: Keys) -> int:
    if count is None or (isinstance(count, bytes) and count.isdigit()):
        return int(count or 0)
    raise ViewsIncompleteError(f"the key {keys.view(Counts.name, 'state')} holds something that is no count")
