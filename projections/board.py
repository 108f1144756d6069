"""Board: tasks in memory, folded from events in their order. It is what a replay folds to, and what any moment is read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

from ledger import BEGINNING, Position, RecordedEvent, SequenceGapError, State, Task, evolve, evolve_known
from projections.filter import EVERY_TASK, Page, TaskFilter
from projections.views.by_alias import is_computed

Observe = Callable[[Task | None, RecordedEvent], None]
"""Called before each event is folded, with the task as it is right before it."""


_by_age: Final = attrgetter("created_number", "id")


class Board:
    """All tasks of a town at one position, by id."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.removed: dict[str, tuple[int, Position]] = {}
        """Version and position of the last event of each task that is gone, or that no event could make."""
        self.position: Position = BEGINNING

    def fold(self, events: Iterable[RecordedEvent], *, observe: Observe | None = None) -> None:
        """Take in more events, which follow `position`. SequenceGapError where a task's version is missing."""
        tasks, removed = self.tasks, self.removed
        recorded = None
        for recorded in events:
            before = tasks.get(recorded.task)
            if observe is not None:
                observe(before, recorded)
            if before is not None:
                if evolve(before, recorded) is None:
                    del tasks[recorded.task]
                    removed[recorded.task] = (recorded.version, recorded.position)
                continue
            if removed or recorded.version != 1:
                self._check_first(recorded)
            created = evolve_known(None, recorded)
            if created is None:
                # No command can make it: there is no task, and its versions go on.
                removed[recorded.task] = (recorded.version, recorded.position)
            else:
                tasks[created.id] = created
        if recorded is not None:
            self.position = recorded.position

    def get(self, task: str) -> Task | None:
        return self.tasks.get(task)

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order."""
        return sorted(task for task in self.tasks if task.startswith(prefix))[:limit]

    def find_alias(self, alias: str) -> Task | None:
        """The adopted task with this alias; the others' ids are computed."""
        found = (task for task in self.tasks.values() if task.alias == alias and not is_computed(task.id))
        return next(found, None)

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that match, oldest first unless newest are wanted first, from `offset`, at most `limit`."""
        found = sorted(
            (task for task in self.tasks.values() if wanted.matches(task)),
            key=_by_age,
            reverse=wanted.is_newest_first,
        )
        return Page(tuple(found[offset : None if limit is None else offset + limit]), len(found))

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that nobody has, oldest first."""
        return self.page(TaskFilter(state=State.PENDING), offset=offset, limit=limit)

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; all states are there."""
        counts = Counter(task.state for task in self.tasks.values())
        return {state: counts[state] for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents sorted, absent states are 0."""
        counts = Counter((task.assigned_to, task.state) for task in self.tasks.values() if task.assigned_to is not None)
        agents = sorted({agent for agent, _ in counts})
        return {agent: {state: counts[agent, state] for state in State} for agent in agents}

    def _check_first(self, recorded: RecordedEvent) -> None:
        """That a task which is not there begins at version 1, or where its removed life ended."""
        version, _ = self.removed.pop(recorded.task, (0, BEGINNING))
        if recorded.version != version + 1:
            raise SequenceGapError(
                f"version of task {recorded.task}", recorded.position, expected=version + 1, found=recorded.version
            )
