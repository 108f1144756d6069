"""Board: tasks in memory, folded from events in their order. A replay folds to a board; the past is read from one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from ledger import BEGINNING, Position, RecordedEvent, SequenceGapError, State, Task, evolve, evolve_known
from projections.filter import EVERY_TASK, Page, TaskFilter, page_of
from projections.views.by_alias import is_computed
from projections.views.ready import by_rank

if TYPE_CHECKING:
    from projections.entries import Tally

_by_age: Final = attrgetter("created_number", "id")


class Board:
    """All tasks of a town at one position, by id."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.removed: dict[str, tuple[int, Position]] = {}
        """Version and position of the last event of each task that was removed, or whose creation is flawed, and of the town."""
        self.position: Position = BEGINNING

    def fold(self, events: Iterable[RecordedEvent], *, tally: Tally | None = None) -> None:
        """Fold more events, which follow `position`; `tally` counts the sound ones. SequenceGapError if a version of a task is missing."""
        tasks, removed = self.tasks, self.removed
        recorded = None
        for recorded in events:
            before = tasks.get(recorded.task)
            found = () if tally is None else tally.look(before, recorded)
            if before is not None:
                if evolve(before, recorded) is None:
                    del tasks[recorded.task]
                    removed[recorded.task] = (recorded.version, recorded.position)
                if tally is not None and before.damaged_at is None:
                    tally.count(found)
                continue
            if removed or recorded.version != 1:
                self._check_first(recorded)
            created = evolve_known(None, recorded)
            if created is None:
                # No command can make this creation: there is no task, but its versions go on.
                removed[recorded.task] = (recorded.version, recorded.position)
            else:
                tasks[created.id] = created
                if tally is not None:
                    tally.count(found)
        if recorded is not None:
            self.position = recorded.position

    def get(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id)

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order."""
        return sorted(task_id for task_id in self.tasks if task_id.startswith(prefix))[:limit]

    def find_alias(self, alias: str) -> Task | None:
        """The adopted task with this alias; the ids of other tasks are computed from their alias."""
        found = (task for task in self.tasks.values() if task.alias == alias and not is_computed(task.id))
        return next(found, None)

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """At most `limit` of the tasks that match, from `offset` on, in the order that `wanted` asks for."""
        found = sorted((task for task in self.tasks.values() if wanted.matches(task)), key=_by_age)
        return page_of(wanted.in_order(found), offset=offset, limit=limit)

    def ids(self, wanted: TaskFilter) -> list[str]:
        """The ids of all tasks that match."""
        return [task.id for task in self.page(wanted).tasks]

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The pending tasks that no agent has, by rank."""
        return page_of(by_rank(self.tasks.values()), offset=offset, limit=limit)

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; every state is in it."""
        counts = Counter(task.state for task in self.tasks.values())
        return {state: counts[state] for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents are sorted, and each has every state."""
        counts = Counter((task.assigned_to, task.state) for task in self.tasks.values() if task.assigned_to is not None)
        agents = sorted({agent for agent, _ in counts})
        return {agent: {state: counts[agent, state] for state in State} for agent in agents}

    def _check_first(self, recorded: RecordedEvent) -> None:
        """SequenceGapError unless a task that does not exist begins at version 1, or goes on from its removed version."""
        version, _ = self.removed.pop(recorded.task, (0, BEGINNING))
        if recorded.version != version + 1:
            raise SequenceGapError(
                f"version of task {recorded.task}", recorded.position, expected=version + 1, found=recorded.version
            )
