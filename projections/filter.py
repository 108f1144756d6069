"""TaskFilter: which tasks a reader wants, and in which order; KeySets: the same as the keys of the sets that have them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ledger import PRIORITY_DEFAULT, State, Task

Word = TypeVar("Word", bound=str)


class Sort(StrEnum):
    """By what tasks are sorted. Tasks that are equal in it are in the order they were created."""

    CREATED = "created"
    UPDATED = "updated"
    STATE = "state"
    """In the order of a task's life, pending first."""
    AGENT = "agent"
    """By the agent's name; tasks without an agent come last."""
    PRIORITY = "priority"
    """Most urgent first."""
    DUE = "due"
    """What is due first comes first; tasks without a due time come last."""


class TaskKind(Struct, frozen=True, array_like=True, gc=False):
    """What a filter looks at of a task. Many tasks are of the same kind."""

    state: State
    assigned_to: str | None
    tags: tuple[str, ...]
    parent_id: str | None
    priority: int = PRIORITY_DEFAULT
    due_ms: int | None = None
    needs: tuple[str, ...] = ()


class TaskFilter(Struct, frozen=True, kw_only=True):
    """Conditions that must all hold; None is no condition. `parent` is the id of the task right above.

    Of several in `state`, a task is in one; of several in `tag`, it has all; of those in `not_tag`, it has none.
    `has_no_agent` selects tasks without an agent, `priority` those of one of these priorities, and `overdue_ms` the open
    ones that were due before that time, milliseconds since 1970 UTC. The last two are no conditions: `sort` is the order, which
    `is_newest_first` turns around.
    """

    state: State | tuple[State, ...] | None = None
    agent: str | None = None
    tag: str | tuple[str, ...] | None = None
    not_tag: str | tuple[str, ...] | None = None
    parent: str | None = None
    has_no_agent: bool = False
    priority: tuple[int, ...] | None = None
    overdue_ms: int | None = None
    sort: Sort = Sort.CREATED
    is_newest_first: bool = False

    @property
    def states(self) -> tuple[State, ...]:
        """Each of `state` once, in the order of a task's life."""
        return tuple(state for state in State if state in each_of(self.state))

    @property
    def tags(self) -> tuple[str, ...]:
        """Each of `tag` once."""
        return tuple(dict.fromkeys(each_of(self.tag)))

    @property
    def not_tags(self) -> tuple[str, ...]:
        """Each of `not_tag` once."""
        return tuple(dict.fromkeys(each_of(self.not_tag)))

    @property
    def is_sorted(self) -> bool:
        """Whether the order of creation is another one, however turned around."""
        is_of_one = {Sort.AGENT: self.agent is not None or self.has_no_agent, Sort.STATE: len(self.states) == 1}
        return self.sort is not Sort.CREATED and not is_of_one.get(self.sort, False)

    @property
    def is_read(self) -> bool:
        """Whether a condition is on what no view has, so that the tasks themselves are read."""
        return self.priority is not None or self.overdue_ms is not None

    def as_created(self) -> TaskFilter:
        """The same conditions, oldest first."""
        return replace(self, sort=Sort.CREATED, is_newest_first=False)

    def matches(self, task: Task | TaskKind) -> bool:
        return (
            (self.state is None or task.state in each_of(self.state))
            and (self.agent is None or task.assigned_to == self.agent)
            and (self.tag is None or all(tag in task.tags for tag in each_of(self.tag)))
            and (self.not_tag is None or not any(tag in task.tags for tag in each_of(self.not_tag)))
            and (self.parent is None or task.parent_id == self.parent)
            and (not self.has_no_agent or task.assigned_to is None)
            and (self.priority is None or task.priority in self.priority)
            and (
                self.overdue_ms is None
                or (task.due_ms is not None and task.due_ms < self.overdue_ms and not task.state.is_terminal)
            )
        )

    def in_order(self, oldest_first: Iterable[Task]) -> list[Task]:
        """Tasks that come oldest first, in the order that is asked for."""
        found = list(oldest_first)
        if self.sort is not Sort.CREATED:
            found.sort(key=SORT_KEYS[self.sort])
        if self.is_newest_first:
            found.reverse()
        return found


def each_of(given: Word | Iterable[Word] | None) -> tuple[Word, ...]:
    """What is named: one, several or none. A text alone is one name; it is not taken apart into its letters."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


_STATE_PLACES: Final = {state: place for place, state in enumerate(State)}

SORT_KEYS: Final[dict[Sort, Callable[[Task], Any]]] = {
    Sort.UPDATED: attrgetter("updated_at_ms"),
    Sort.STATE: lambda task: _STATE_PLACES[task.state],
    Sort.AGENT: lambda task: (task.assigned_to is None, task.assigned_to or ""),
    Sort.PRIORITY: attrgetter("priority"),
    Sort.DUE: lambda task: (task.due_ms is None, task.due_ms or 0),
}
"""What is compared of tasks that come oldest first."""


EVERY_TASK = TaskFilter()


class KeySets(Struct, frozen=True):
    """The tasks in all of the sets `each`, in one of `either` if there are any, and in none of `without`.

    No task is in two sets of `either`.
    """

    each: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.each, *self.either, *self.without)

    @property
    def is_plain(self) -> bool:
        """Whether the server intersects and counts them itself."""
        return not self.either and not self.without

    def smallest_first(self, sizes: Mapping[str, int]) -> KeySets:
        """The same, so that the first set of `each` has the fewest tasks."""
        return KeySets(tuple(sorted(self.each, key=sizes.__getitem__)), self.either, self.without)

    def group_sizes(self, sizes: Mapping[str, int]) -> list[int]:
        """How many tasks each condition lets through: those of `either` together, and then each set."""
        either = [sum(sizes[key] for key in self.either)] if self.either else []
        return [*either, *(sizes[key] for key in self.each)]

    def smallest(self, sizes: Mapping[str, int]) -> range:
        """The places in `keys` of the sets that have the fewest tasks but all that are wanted; empty if no set has them."""
        each = [sizes[key] for key in self.each]
        if self.either and sum(sizes[key] for key in self.either) <= min(each, default=sum(sizes.values())):
            return range(len(each), len(each) + len(self.either))
        place = each.index(min(each)) if each else 0
        return range(place, place + 1) if each else range(0)


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
