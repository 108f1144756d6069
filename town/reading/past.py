"""Past: a town's board as it was, from the ledger alone. It also answers questions about now if the views cannot.

For one task it reads that task's history, which takes as long in any town. For questions about all tasks it folds the
town, once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ledger import Position, RecordedEvent, State, Task
from projections import Board, DayStats, TaskFilter, fold_stats, fold_task
from town.backend import Backend
from town.reading.details import LastEvents
from town.reading.folding import board_at
from town.reading.hierarchy import Branch, tree_on

if TYPE_CHECKING:
    from projections import (
        BlockedTask,
        CriticalPath,
        InboxPages,
        Linked,
        PackedBoard,
        ReadyFilter,
        ReadyPage,
        Relatives,
        Waiting,
    )

PREFIX_TASKS_MAX: Final = 100
"""If more tasks than this begin with a prefix, folding the town is quicker than reading their histories."""


class Past:
    """Answers the questions that `Present` answers, as of the event at `upto`; BEGINNING shows an empty town.

    `is_now` is set if it stands in for the present, because the views cannot answer. `time_ms` is the time it is asked for,
    milliseconds since 1970 UTC; if it is not given, that of the event.
    """

    def __init__(self, backend: Backend, upto: Position, *, is_now: bool = False, time_ms: int | None = None) -> None:
        self.then = None if is_now else upto
        """The position that errors name."""
        self._time_ms = upto.ms if time_ms is None else time_ms
        self._backend = backend
        self._store = backend.store
        self._live = backend.live
        self._upto = upto
        self.called = backend.called
        self._last_read: tuple[str, list[RecordedEvent]] | None = None

    @cached_property
    def board(self) -> Board | PackedBoard:
        """All tasks at that position, folded from the ledger. LedgerDamagedError."""
        return board_at(self._backend, self._upto)

    def end(self) -> Position:
        """The position that this board shows."""
        return self._upto

    def knows(self, task_id: str) -> bool:
        """Whether the ledger had events of a task with this id, which may have been removed."""
        return bool(self.history(task_id))

    def load(self, task_id: str) -> Task | None:
        """The task; None if it did not exist."""
        return fold_task(self.history(task_id))

    def has(self, task_id: str) -> bool:
        """Whether the task existed."""
        return self.load(task_id) is not None

    def find(self, prefix: str, *, limit: int, is_removed_too: bool = False) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order; where there are none, those of removed tasks, if asked for."""
        ids = self._store.find_tasks(prefix, limit=PREFIX_TASKS_MAX)
        if len(ids) == PREFIX_TASKS_MAX:
            board = self.board
            known = [task_id for task_id in board.removed if task_id.startswith(prefix)]
            return board.find(prefix, limit=limit) or (sorted(known)[:limit] if is_removed_too else [])
        found = [task_id for task_id in ids if self.has(task_id)]
        if not found and is_removed_too:
            found = [task_id for task_id in ids if self.knows(task_id)]
        return found[:limit]

    def titles(self, task_ids: Sequence[str]) -> dict[str, str]:
        """What these tasks were about, by id."""
        return {task.id: task.description for task in map(self.load, task_ids) if task is not None}

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id of those of `aliases` whose task was adopted, is still there, and had the alias then."""
        found = self._live.find_aliases(aliases)
        return {alias: task_id for alias, task_id in found.items() if self.has(task_id)}

    def find_removed_alias(self, alias: str) -> str | None:
        """The id of the adopted task that had this alias, even if it was removed since."""
        task = self.board.find_alias(alias)
        return None if task is None else task.id

    def history(self, task_id: str) -> list[RecordedEvent]:
        """The events of a task until then, oldest first.

        The last result is kept, because resolving a reference reads it too.
        """
        if self._last_read is None or self._last_read[0] != task_id:
            events = [recorded for recorded in self._store.history(task_id) if recorded.position <= self._upto]
            self._last_read = task_id, events
        return self._last_read[1]

    def ready(self, wanted: ReadyFilter, *, limit: int | None, offset: int = 0) -> ReadyPage:
        """The tasks that could be begun, best first."""
        from projections import ready_on  # noqa: PLC0415 - few commands ask what is ready

        return ready_on(
            self.board.tasks, wanted, limit=limit, offset=offset, now_ms=self.time_ms(), position=self._upto
        )

    def blocked(self) -> list[BlockedTask]:
        """The open tasks that were blocked, with the longest chain first."""
        from projections import blocked_among  # noqa: PLC0415 - few commands ask what is blocked

        tasks = self.board.tasks
        return blocked_among(tasks, tasks)

    def critical_path(self, last: Task | None) -> CriticalPath:
        """The longest chain of open tasks that waited for each other, or the one that ends with `last`."""
        from projections import and_above, critical_path  # noqa: PLC0415 - one command asks for it

        tasks = self.board.tasks
        ends = [last.id] if last is not None else and_above([each.task.id for each in self.blocked()], tasks)
        return critical_path(ends, tasks)

    def around(self, task: Task) -> Mapping[str, Task]:  # noqa: ARG002 - as `Present` has it
        """A task, those above it, and all that they waited for: all tasks."""
        return self.board.tasks

    def dependents(self, task_ids: Sequence[str]) -> dict[str, int]:
        """How many open tasks needed each of these."""
        needed = Counter(
            each for task in self.board.tasks.values() if not task.state.is_terminal for each in task.needs
        )
        return {task_id: needed[task_id] for task_id in task_ids}

    def waiting(self) -> Waiting:
        """What kept pending tasks from being begun."""
        from projections import waiting_on  # noqa: PLC0415 - few commands ask why tasks wait

        return waiting_on(self.board.tasks, now_ms=self.time_ms())

    def time_ms(self) -> int:
        """The time that due times and `not_before` are held against, milliseconds since 1970 UTC."""
        return self._time_ms if self.then is not None else time.time_ns() // 1_000_000

    def links(self, task: Task, *, limit: int) -> tuple[Linked, ...]:
        """The links from and to a task, at most `limit` tasks of each kind. Folds the town."""
        from projections import links_on  # noqa: PLC0415 - only `details` asks

        return links_on(task, self.board.tasks, limit=limit)

    def tree(self, root: Task | None) -> list[Branch]:
        """`root` and all below it; None for the whole town. A task comes right before the tasks below it."""
        return tree_on(self.board, root)

    def relatives(self, task: Task, *, limit: int) -> Relatives:
        """Its parent, and at most `limit` of the tasks right below it, oldest first. Folds the town."""
        children = self.board.page(TaskFilter(parent=task.id)).tasks
        states = Counter(child.state for child in children)
        parent = None if task.parent_id is None else self.board.get(task.parent_id)
        from projections import Relatives  # noqa: PLC0415 - only `details` asks

        return Relatives(
            parent, children[:limit], len(children), {state: states[state] for state in State if states[state]}
        )

    def last_events(self, task: Task, *, limit: int) -> LastEvents:
        """The last `limit` events of the task."""
        return LastEvents(self.history(task.id)[: -limit - 1 : -1])

    def inbox(self, *, limit: int | None) -> InboxPages:
        """At most `limit` tasks of each kind that waited for a person. Folds the town."""
        from projections import gather_inbox  # noqa: PLC0415 - only the inbox asks

        waiting = TaskFilter(state=tuple(state for state in State if not state.is_terminal or state is State.FAILED))
        return gather_inbox(self.board.page(waiting).tasks, limit=limit)

    def count_days(self, days: Sequence[str]) -> list[DayStats]:
        """What was created, completed and failed on each of these days and by whom."""
        return fold_stats(self._store, days, upto=self._upto)
