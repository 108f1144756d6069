"""TaskFilter: which tasks a reader wants, and in which order. Pure."""

from __future__ import annotations

from msgspec import Struct

from ledger import State, Task


class TaskKind(Struct, frozen=True, array_like=True, gc=False):
    """What a filter looks at of a task. Many tasks are of the same kind."""

    state: State
    assigned_to: str | None
    tags: tuple[str, ...]
    parent_id: str | None


class TaskFilter(Struct, frozen=True, kw_only=True):
    """Conditions that must all hold; None is no condition. `parent` is the id of the task right above.

    `has_no_agent` selects tasks without an agent. `is_newest_first` is not a condition: it reverses the order.
    """

    state: State | None = None
    agent: str | None = None
    tag: str | None = None
    parent: str | None = None
    has_no_agent: bool = False
    is_newest_first: bool = False

    def matches(self, task: Task | TaskKind) -> bool:
        return (
            (self.state is None or task.state is self.state)
            and (self.agent is None or task.assigned_to == self.agent)
            and (self.tag is None or self.tag in task.tags)
            and (self.parent is None or task.parent_id == self.parent)
            and (not self.has_no_agent or task.assigned_to is None)
        )


EVERY_TASK = TaskFilter()


class Page(Struct, frozen=True):
    """Some of the matching tasks, in the requested order, and how many match in all."""

    tasks: tuple[Task, ...]
    total: int
