"""Peek: what a town offers for the completion of a command line, as far as it is known at once.

Nothing is started, asked, allowed, projected or written: a shell asks while somebody types, in whatever folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger import RecordedEvent, State, Task
from projections import ACTOR_EVENTS_MAX, TaskFilter
from town.backend import Backend
from town.errors import NotTrustedError
from town.folder.search import find
from town.folder.settings import read_settings, setting_place, start_of_search
from town.opening import opened
from town.trust.permission import may_connect

OFFERED_MAX: Final = 100
"""At most so many tasks are offered."""
_OPEN_TASKS_MAX: Final = 300
_NEWEST_TASKS_MAX: Final = 500
_EVENTS_OFFERED: Final = 20
_NOBODY: Final = "completion"
_OPEN: Final = (State.RUNNING, State.ASSIGNED, State.PENDING)


class Peek:
    """One town's snapshots, views and last events. They are as new as the checkpoint."""

    def __init__(self, backend: Backend) -> None:
        self._live = backend.live
        self._store = backend.store

    def agents(self) -> dict[str, int]:
        """Agent -> how many open tasks it has; sorted."""
        return {
            agent: sum(count for state, count in counts.items() if not state.is_terminal)
            for agent, counts in self._live.count_agents().items()
        }

    def actors(self) -> list[str]:
        """The agents, and who caused the last events; sorted."""
        return sorted({*self.agents(), *(recorded.actor for recorded in self._store.read_back(limit=ACTOR_EVENTS_MAX))})

    def tags(self) -> list[str]:
        """The tags of open tasks and of the newest ones, sorted."""
        return sorted({tag for task in self._known_tasks() for tag in task.tags})

    def events(self) -> list[RecordedEvent]:
        """The last events, newest first."""
        return self._store.read_back(limit=_EVENTS_OFFERED)

    def tasks(self, prefix: str, *, states: Collection[State]) -> list[Task]:
        """Tasks in one of the states whose alias or id begins with `prefix`: running ones first, and the newest of each state.

        An id is looked for among all tasks, an alias among the open tasks and the newest ones, as far as they are read.
        """
        found = {
            task.id: task
            for task in self._known_tasks()
            if task.state in states
            and (task.id.startswith(prefix.lower()) or (task.alias is not None and task.alias.startswith(prefix)))
        }
        if prefix and len(found) < OFFERED_MAX:
            ids = self._live.find(prefix.lower(), limit=OFFERED_MAX)
            others = self._live.get_sound([task_id for task_id in ids if task_id not in found])
            found |= {task.id: task for task in others if task is not None and task.state in states}
        return list(found.values())[:OFFERED_MAX]

    def _known_tasks(self) -> Iterator[Task]:
        for state in _OPEN:
            yield from self._live.page(TaskFilter(state=state, is_newest_first=True), limit=_OPEN_TASKS_MAX).tasks
        yield from self._live.page(TaskFilter(is_newest_first=True), limit=_NEWEST_TASKS_MAX).tasks


@contextmanager
def peek(path: Path | str | None = None) -> Iterator[Peek]:
    """The town of the nearest folder upwards from `path`, if its server is up and its folder is trusted already. LedgerError."""
    folder = find(start_of_search(path)).folder
    settings = read_settings(folder)
    if not (os.environ.get("REDIS_URL") or may_connect(folder, settings)):
        raise NotTrustedError(setting_place(folder, "url"), "nobody here has allowed that connection", folder=folder)
    with opened(path, actor=_NOBODY, is_starting=False) as town:
        yield Peek(town.backend)
