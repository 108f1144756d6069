"""BoardDiff: what is different between the boards of two moments, folded from the events between them alone. Pure.

Of a task that they touch, what it was before is folded from its own earlier events, which whoever reads the ledger hands in.
docs/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ledger import (
    Change,
    Position,
    RecordedEvent,
    SequenceGapError,
    State,
    Task,
    TaskAdopted,
    TaskAssigned,
    compare,
    evolve_known,
)
from projections.replay import fold_task

_BRING_AN_AGENT: Final = frozenset({TaskAdopted, TaskAssigned})


class DiffKind(StrEnum):
    """What became of a task between two moments."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


class TaskDiff(Struct, frozen=True):
    """A task at both moments, None where it was not there; at one of them it was."""

    task_id: str
    before: Task | None
    after: Task | None
    states: tuple[State, ...]
    """The states it was in, one after another, from the first moment to the second."""
    agents: frozenset[str]
    """Who had it at any time between the two, both in."""
    events: int
    """How many events of it there are between the two."""

    @property
    def kind(self) -> DiffKind:
        if self.before is None:
            return DiffKind.CREATED
        return DiffKind.REMOVED if self.after is None else DiffKind.CHANGED

    @property
    def task(self) -> Task:
        """As it is after, or before where it is gone."""
        task = self.after or self.before
        assert task is not None, "it was there at one of the moments"
        return task

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that differ. None do where it was only noted something, or all was taken back."""
        return compare(self.before, self.after)

    def has_tag(self, tag: str) -> bool:
        """Whether it has the tag at one of the moments."""
        return any(task is not None and tag in task.tags for task in (self.before, self.after))

    def turned(self) -> TaskDiff:
        """The same, with the moments the other way round."""
        return TaskDiff(self.task_id, self.after, self.before, self.states[::-1], self.agents, self.events)


class BoardDiff(Struct, frozen=True):
    """The tasks that differ between the boards right after two events, oldest task first."""

    since: Position
    until: Position
    tasks: tuple[TaskDiff, ...]
    events: int
    """How many events there are between the two moments."""
    passing: int
    """How many tasks came and went in between, so that neither board has them."""

    def of(self, kind: DiffKind) -> list[TaskDiff]:
        return [each for each in self.tasks if each.kind is kind]

    def only(self, *, agent: str | None = None, tag: str | None = None) -> BoardDiff:
        """Of the tasks that the agent had at any time, and that have the tag at one of the moments; None is no condition."""
        tasks = [
            each
            for each in self.tasks
            if (agent is None or agent in each.agents) and (tag is None or each.has_tag(tag))
        ]
        is_whole = len(tasks) == len(self.tasks)
        return BoardDiff(self.since, self.until, tuple(tasks), self.events, self.passing if is_whole else 0)

    def turned(self) -> BoardDiff:
        """From the second moment to the first."""
        turned = tuple(each.turned() for each in self.tasks)
        return BoardDiff(self.until, self.since, turned, self.events, self.passing)


class _Touched(Struct):
    """A task that an event touched, as it was before, and as it is after what was folded."""

    before: Task | None
    task: Task | None
    version: int
    states: list[State]
    agents: set[str]
    events: int = 0


class Differing:
    """Folds the events after a moment, and tells what they made different."""

    def __init__(self, since: Position) -> None:
        self._since = since
        self._touched: dict[str, _Touched] = {}
        self._events = 0

    def unknown(self, events: Iterable[RecordedEvent]) -> dict[str, str]:
        """Task -> position of its last event before these, of those that are met for the first time and have one."""
        first: dict[str, str | None] = {}
        for recorded in events:
            if recorded.task not in self._touched:
                first.setdefault(recorded.task, recorded.prev)
        return {task_id: prev for task_id, prev in first.items() if prev is not None}

    def fold(self, events: Sequence[RecordedEvent], earlier: Mapping[str, Sequence[RecordedEvent]]) -> None:
        """Take in the next events; `earlier` has all earlier ones of each task that is `unknown`. SequenceGapError."""
        touched = self._touched
        for recorded in events:
            entry = touched.get(recorded.task)
            if entry is None:
                entry = touched[recorded.task] = _met(earlier.get(recorded.task, ()))
            if recorded.version != entry.version + 1:
                raise SequenceGapError(
                    f"version of task {recorded.task}",
                    recorded.position,
                    expected=entry.version + 1,
                    found=recorded.version,
                )
            entry.version = recorded.version
            entry.events += 1
            task = entry.task = evolve_known(entry.task, recorded)
            if task is None:
                continue
            if not entry.states or entry.states[-1] is not task.state:
                entry.states.append(task.state)
            if type(recorded.data) in _BRING_AN_AGENT and task.assigned_to is not None:
                entry.agents.add(task.assigned_to)
        self._events += len(events)

    def diff(self, until: Position) -> BoardDiff:
        """What is different by now, which is right after the event at `until`."""
        tasks = [
            TaskDiff(
                task_id,
                entry.before,
                entry.task,
                states=tuple(entry.states),
                agents=frozenset(entry.agents),
                events=entry.events,
            )
            for task_id, entry in self._touched.items()
            if entry.before is not None or entry.task is not None
        ]
        tasks.sort(key=lambda each: (each.task.number, each.task_id))
        return BoardDiff(self._since, until, tuple(tasks), self._events, len(self._touched) - len(tasks))


def _met(earlier: Sequence[RecordedEvent]) -> _Touched:
    before = fold_task(earlier)
    agents = set[str]() if before is None or before.assigned_to is None else {before.assigned_to}
    return _Touched(
        before=before,
        task=copy(before),
        version=earlier[-1].version if earlier else 0,
        states=[] if before is None else [before.state],
        agents=agents,
    )
