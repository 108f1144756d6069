"""The results of pushes and pulls, real or previewed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ledger import Event, Position, Task, TaskCreated, TaskRemoved
from town.plans.plan import Value


class PlanChange(Struct, frozen=True):
    """What a push does to one task, named `id` in the file: its events, oldest first."""

    id: str
    task_id: str
    events: tuple[Event, ...]


class PlanKept(Struct, frozen=True):
    """A field of a task that a push leaves as it is in the town, although the file differs.

    The field `task` means that the task itself stays removed, or that it stays because there are tasks below it.
    """

    id: str
    task_id: str
    field: str
    town: str | None
    plan: str | None


class PushReceipt(Struct, frozen=True):
    """The result of a push: changes in the order of their events, and what stays as it is in the town.

    `found` has the plan's tasks as the push found them in the town, by their ids in the file. New tasks are not in it.
    """

    tasks: int
    changes: tuple[PlanChange, ...]
    kept: tuple[PlanKept, ...]
    not_understood: tuple[str, ...]
    positions: tuple[Position, ...] = ()
    found: Mapping[str, Task] = {}

    @property
    def created(self) -> int:
        return sum(isinstance(change.events[0], TaskCreated) for change in self.changes)

    @property
    def removed(self) -> int:
        return sum(isinstance(change.events[-1], TaskRemoved) for change in self.changes)

    @property
    def changed(self) -> int:
        return len(self.changes) - self.created - self.removed

    @property
    def events(self) -> int:
        return sum(len(change.events) for change in self.changes)


class PullChange(Struct, frozen=True):
    """What a pull writes for one task: key -> the new value, None for a key to remove."""

    id: str
    task_id: str
    values: dict[str, Value]


class PullReceipt(Struct, frozen=True):
    """The result of a pull. `tasks` is how many the file has afterwards. Without changes the file is not touched."""

    tasks: int
    changed: tuple[PullChange, ...]
    added: tuple[PullChange, ...]
    removed: tuple[PullChange, ...]
    not_understood: tuple[str, ...]
    is_new: bool = False

    @property
    def has_changes(self) -> bool:
        return bool(self.changed or self.added or self.removed or self.is_new)


class PlanComparison(Struct, frozen=True):
    """What a push and what a pull would do."""

    push: PushReceipt
    pull: PullReceipt
    not_understood: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return not self.push.changes and not self.pull.has_changes
