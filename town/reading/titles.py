"""Titles: the names of tasks in lists of events, as they are now, or as they were before the task was removed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ledger import TOWN_ID, EventStore, LedgerDamagedError, RecordedEvent, Task
from projections import LiveBoard, fold_task


class Title(Struct, frozen=True):
    """A task's alias, if it has one, and the first line of its description."""

    alias: str | None
    text: str


def read_titles(task_ids: Iterable[str], store: EventStore, live: LiveBoard) -> dict[str, Title]:
    """Task id -> title. A task that never existed, or whose history is damaged, is left out.

    A snapshot counts only if it has the task's last event; other tasks are folded. Source: HMGET, MGET.
    """
    ids = [task_id for task_id in dict.fromkeys(task_ids) if task_id != TOWN_ID]
    heads = store.heads(ids)
    found: dict[str, Title] = {}
    stale: dict[str, str] = {}
    for task_id, (version, position), task in zip(ids, heads, live.get_sound(ids), strict=True):
        if task is not None and task.version == version:
            found[task_id] = _title_of(task)
        elif version:
            stale[task_id] = str(position)
    return found | _fold(stale, store)


def _fold(ends: dict[str, str], store: EventStore) -> dict[str, Title]:
    """The titles of tasks from their histories; `ends` is task id -> position of the last event."""
    if not ends:
        return {}
    try:
        histories = store.histories_upto(ends)
    except LedgerDamagedError:
        if len(ends) == 1:
            return {}
        # One by one, to leave out only what is damaged.
        return {task: title for each in ends.items() for task, title in _fold(dict([each]), store).items()}
    tasks = {task_id: _last_known(events) for task_id, events in histories.items()}
    return {task_id: _title_of(task) for task_id, task in tasks.items() if task is not None}


def _last_known(events: list[RecordedEvent]) -> Task | None:
    return fold_task(events) or fold_task(events[:-1])


def _title_of(task: Task) -> Title:
    return Title(task.alias, task.title)
