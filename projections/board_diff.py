"""BoardDiff: what differs between the boards of two moments, folded from the events between them alone. Pure.

The state of a task before them is folded from its own earlier events, which the caller reads. docs/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from enum import StrEnum
from operator import attrgetter
from typing import Final

from msgspec import Struct

from ledger import (
    TOWN_ID,
    FieldChange,
    Position,
    RecordedEvent,
    SequenceGapError,
    State,
    Task,
    TaskAdopted,
    TaskAssigned,
    compare,
    evolve,
    evolve_known,
)
from projections.replay import ends_before, fold_task

_BRING_AN_AGENT: Final = frozenset({TaskAdopted, TaskAssigned})


class DiffKind(StrEnum):
    """What became of a task between two moments."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


class TaskDiff(Struct, kw_only=True):
    """A task at two moments, None if it did not exist. It existed at one of them at least. A fold owns it until it is done."""

    task_id: str
    before: Task | None
    after: Task | None
    states: list[State]
    """The states it went through, from the first moment to the second."""
    agents: list[str]
    """The agents that had it at any time, from the first moment to the second. An agent may be there twice."""
    created_number: int
    """Its place among the tasks of the town; older tasks have lower numbers."""
    version_before: int
    """How many events it had before, if `before` is None. `version_after` is the same for `after`."""
    version_after: int

    @property
    def kind(self) -> DiffKind:
        if self.before is None:
            return DiffKind.CREATED
        return DiffKind.REMOVED if self.after is None else DiffKind.CHANGED

    @property
    def task(self) -> Task:
        """The task after, or before if it was removed."""
        task = self.after or self.before
        assert task is not None, "it was there at one of the moments"
        return task

    @property
    def events(self) -> int:
        """How many of its events lie between the moments."""
        version_after = self.version_after if self.after is None else self.after.version
        version_before = self.version_before if self.before is None else self.before.version
        return abs(version_after - version_before)

    @property
    def changes(self) -> tuple[FieldChange, ...]:
        """The fields that differ. Empty after a note, or if all was set back."""
        return compare(self.before, self.after)

    def has_tag(self, tag: str) -> bool:
        """Whether it had the tag at one of the moments."""
        return any(task is not None and tag in task.tags for task in (self.before, self.after))

    def turned(self) -> TaskDiff:
        """The same with the moments swapped."""
        return TaskDiff(
            task_id=self.task_id,
            before=self.after,
            after=self.before,
            states=self.states[::-1],
            agents=self.agents,
            created_number=self.created_number,
            version_before=self.version_after,
            version_after=self.version_before,
        )


class BoardDiff(Struct, frozen=True):
    """The tasks that differ between the boards right after two events, oldest task first."""

    since: Position
    until: Position
    tasks: tuple[TaskDiff, ...]
    events: int
    """How many events there are between the two moments."""
    passing: int
    """How many tasks were created and removed in between, so that neither board has them."""

    @property
    def moved_to(self) -> dict[State, int]:
        """How many tasks that are at both moments are in another state at the second, by that state; all states are there."""
        counts = dict.fromkeys(State, 0)
        for each in self.tasks:
            if each.before is not None and each.after is not None and each.before.state is not each.after.state:
                counts[each.after.state] += 1
        return counts

    @property
    def reassigned(self) -> int:
        """How many tasks one agent had at the first moment, and another one at the second."""
        return sum(
            each.before is not None
            and each.after is not None
            and None not in (each.before.assigned_to, each.after.assigned_to)
            and each.before.assigned_to != each.after.assigned_to
            for each in self.tasks
        )

    def of(self, kind: DiffKind) -> list[TaskDiff]:
        return [each for each in self.tasks if each.kind is kind]

    def only(self, *, agent: str | None = None, tag: str | None = None) -> BoardDiff:
        """Only the tasks that the agent had at any time and that had the tag at one of the moments; None is no condition.

        `passing` is not counted then.
        """
        if agent is None and tag is None:
            return self
        tasks = tuple(
            each
            for each in self.tasks
            if (agent is None or agent in each.agents) and (tag is None or each.has_tag(tag))
        )
        return BoardDiff(self.since, self.until, tasks, self.events, 0)

    def turned(self) -> BoardDiff:
        """From the second moment to the first."""
        turned = tuple(each.turned() for each in self.tasks)
        return BoardDiff(self.until, self.since, turned, self.events, self.passing)


class Differing:
    """Folds the events after a moment and finds what they changed."""

    def __init__(self, since: Position) -> None:
        self._since = since
        self._touched: dict[str, TaskDiff] = {}
        self._events = 0

    def unknown(self, events: Sequence[RecordedEvent]) -> dict[str, str]:
        """As `ends_before`, for tasks that are met for the first time."""
        return ends_before(events, self._touched)

    def fold(self, events: Sequence[RecordedEvent], earlier: Mapping[str, Sequence[RecordedEvent]]) -> None:
        """Take in the next events; `earlier` has all earlier ones of each task that is `unknown`. SequenceGapError."""
        touched = self._touched
        for recorded in events:
            found = touched.get(recorded.task)
            if found is None:
                if recorded.task == TOWN_ID:
                    continue
                found = touched[recorded.task] = _met(recorded.task, earlier.get(recorded.task, ()))
            task = found.after
            if task is None:
                task = _come_to_be(found, recorded)
                if task is None:
                    continue
                found.after = task
                found.created_number = task.created_number or 0
                found.states.append(task.state)
            else:
                state = task.state
                if evolve(task, recorded) is None:
                    found.after = None
                    found.version_after = recorded.version
                    continue
                if task.state is not state:
                    found.states.append(task.state)
            if type(recorded.data) in _BRING_AN_AGENT and task.assigned_to is not None:
                found.agents.append(task.assigned_to)
        self._events += len(events)

    def diff(self, until: Position) -> BoardDiff:
        """What differs now, right after the event at `until`."""
        tasks = [each for each in self._touched.values() if each.before is not None or each.after is not None]
        tasks.sort(key=attrgetter("created_number", "task_id"))
        passing = sum(
            each.before is None and each.after is None and bool(each.states) for each in self._touched.values()
        )
        return BoardDiff(self._since, until, tuple(tasks), self._events, passing)


def _met(task_id: str, earlier: Sequence[RecordedEvent]) -> TaskDiff:
    """A task right before its first event between the moments; `earlier` are all of its events until then."""
    before = fold_task(earlier)
    version = earlier[-1].version if earlier else 0
    return TaskDiff(
        task_id=task_id,
        before=before,
        after=copy(before),
        states=[] if before is None else [before.state],
        agents=[] if before is None or before.assigned_to is None else [before.assigned_to],
        created_number=0 if before is None else before.created_number or 0,
        version_before=version,
        version_after=version,
    )


def _come_to_be(found: TaskDiff, recorded: RecordedEvent) -> Task | None:
    """The task that the event creates. SequenceGapError."""
    if recorded.version != found.version_after + 1:
        raise SequenceGapError(
            f"version of task {recorded.task}",
            recorded.position,
            expected=found.version_after + 1,
            found=recorded.version,
        )
    found.version_after = recorded.version
    return evolve_known(None, recorded)
