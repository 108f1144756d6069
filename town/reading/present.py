"""Present: a town's board as it is now, from snapshots and views. It catches up first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ledger import TOWN_ID, LedgerDamagedError, LinkKind, Position, RecordedEvent, Task
from projections import DayStats, LiveBoard, SnapshotDamagedError, TaskFilter, read_stats
from town.backend import Backend
from town.reading.details import LastEvents
from town.reading.hierarchy import OPEN_STATES, Branch, below, grow

if TYPE_CHECKING:
    from projections import BlockedTask, CriticalPath, InboxPages, Linked, ReadyFilter, ReadyPage, Relatives, Waiting


class Present:
    """Answers the questions that `Past` answers, as of the checkpoint.

    `board` raises ViewsIncompleteError if views lost tasks.
    """

    then: Position | None = None
    """The position that errors name; None, because this is the present."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store = backend.store
        self._loader = backend.loader
        self.board: LiveBoard = backend.live
        self.called = backend.called

    def end(self) -> Position:
        """The position of the ledger's last event."""
        return self._store.end()

    def knows(self, task_id: str) -> bool:
        """Whether the ledger has events of a task with this id, which may be removed."""
        return self._loader.version(task_id) > 0

    def load(self, task_id: str) -> Task | None:
        """The task, folded from its history if its snapshot is lost. None if it was removed."""
        try:
            return self._loader.load(task_id)[0]
        except SnapshotDamagedError:
            return self.board.fold_lost(task_id)

    def has(self, task_id: str) -> bool:
        """Whether the task exists. SnapshotDamagedError."""
        return self._loader.get(task_id) is not None

    def find(self, prefix: str, *, limit: int, is_removed_too: bool = False) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order; where there are none, those of removed tasks, if asked for."""
        found = self._loader.find(prefix, limit=limit)
        return found if found or not is_removed_too else self._store.find_tasks(prefix, limit=limit)

    def titles(self, task_ids: Sequence[str]) -> dict[str, str]:
        """What these tasks are about, by id, as far as their snapshots are there."""
        return {task.id: task.description for task in self.board.get_sound(task_ids) if task is not None}

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id of those of `aliases` whose task was adopted; the others' ids are computed."""
        return self._loader.find_aliases(aliases)

    def find_removed_alias(self, alias: str) -> str | None:  # noqa: ARG002 - as `Past` has it
        """None: removing an adopted task frees its alias."""
        return None

    def history(self, task_id: str) -> list[RecordedEvent]:
        """All events of a task, oldest first."""
        return self._store.history(task_id)

    def ready(self, wanted: ReadyFilter, *, limit: int | None, offset: int = 0) -> ReadyPage:
        """The tasks that can be begun, best first."""
        return self.board.ready(wanted, limit=limit, offset=offset)

    def blocked(self) -> list[BlockedTask]:
        """The open tasks that are blocked, with the longest chain first."""
        return self.board.blocked()

    def critical_path(self, last: Task | None) -> CriticalPath:
        """The longest chain of open tasks that wait for each other, or the one that ends with `last`."""
        return self.board.critical_path(None if last is None else last.id)

    def around(self, task: Task) -> Mapping[str, Task]:
        """A task, those above it, and all that they wait for."""
        return self.board.surroundings([task.id])

    def dependents(self, task_ids: Sequence[str]) -> dict[str, int]:
        """How many open tasks need each of these."""
        from projections import read_dependents  # noqa: PLC0415 - few commands ask what needs a task

        return read_dependents(self._backend.client, self._backend.keys, task_ids, where=self._backend.where)

    def waiting(self) -> Waiting:
        """What keeps pending tasks from being begun."""
        from projections import read_waiting  # noqa: PLC0415 - few commands ask why tasks wait

        return read_waiting(self._backend.client, self._backend.keys, self.board, where=self._backend.where)

    def links(self, task: Task, *, limit: int) -> tuple[Linked, ...]:
        """The links from and to a task, at most `limit` tasks of each kind."""
        if not any(map(task.links, LinkKind)) and not self._loader.may_be_linked_to(task.id):
            return ()
        from projections import read_links  # noqa: PLC0415 - only `details` asks

        backend = self._backend
        return read_links(backend.client, backend.keys, self.board, task, limit=limit, where=backend.where)

    def tree(self, root: Task | None) -> list[Branch]:
        """`root` and all below it; None for the whole town. A task comes right before the tasks below it."""
        if root is None:
            return grow(self.board.page().tasks)
        return grow([root, *self.below(root.id)], root=root.id)

    def relatives(self, task: Task, *, limit: int) -> Relatives:
        """Its parent, and at most `limit` of the tasks right below it, oldest first."""
        if task.parent_id is None and not self._loader.count_children(task.id):
            from projections import Relatives  # noqa: PLC0415 - only `details` asks

            return Relatives(None, (), 0, {})
        return self.board.relatives(task, limit=limit)

    def last_events(self, task: Task, *, limit: int) -> LastEvents:
        """The last `limit` events of the task and of the town itself."""
        try:
            own, of_town = self._store.last_events([task.id, TOWN_ID], limit=limit)
        except LedgerDamagedError as damage:
            # The task itself is known from its snapshot.
            return LastEvents(damage=damage)
        return LastEvents(own, of_town)

    def below(self, task_id: str) -> list[Task]:
        """All tasks below this one, a parent before its children, and those of one parent oldest first."""
        return below(self.board, task_id)

    def count_open_children(self, task_id: str) -> int:
        """How many tasks right below this one are open."""
        if not self._loader.count_children(task_id):
            return 0
        pages = [self.board.page(TaskFilter(state=state, parent=task_id), limit=0) for state in OPEN_STATES]
        return sum(page.known_total for page in pages)

    def inbox(self, *, limit: int | None) -> InboxPages:
        """At most `limit` tasks of each kind that wait for a person."""
        from projections import read_inbox  # noqa: PLC0415 - only the inbox asks

        backend = self._backend
        return read_inbox(backend.client, backend.keys, self.board, limit=limit, where=backend.where)

    def count_days(self, days: Sequence[str]) -> list[DayStats]:
        """What was created, completed and failed on each of these days and by whom."""
        backend = self._backend
        return read_stats(backend.client, backend.keys, days, where=backend.where)
