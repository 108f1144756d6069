"""TaskFilter: which tasks a reader wants, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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
    """Some of the matching tasks, in the requested order, and how many match in all.

    `total` is None if more tasks follow the page and counting them would take longer than the page. It is always known for one
    condition, for a state with an agent, if at most COUNTED_MAX match, and if no task or every task was requested.
    """

    tasks: tuple[Task, ...]
    total: int | None
    has_more: bool
    """Whether more match after those of the page."""

    @property
    def known_total(self) -> int:
        """`total`, where what was asked always has it."""
        assert self.total is not None
        return self.total


def page_of(matching: Sequence[Task], *, offset: int, limit: int | None) -> Page:
    """A page of all tasks that match."""
    last = len(matching) if limit is None else offset + limit
    return Page(tuple(matching[offset:last]), len(matching), has_more=last < len(matching))
