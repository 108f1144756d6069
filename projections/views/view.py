"""The contract of a view: what it shows of a task, as entries that can be compared, added and taken away.

Most views are a function of a task as it is now. So the projector writes the difference between a task's entries before
and after a batch, a rebuild writes the entries of the last state, and both end with the same keys. A view that counts
what happened, rather than what is, follows the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from msgspec import Struct

from ledger import Event, RecordedEvent, Task


class Member(Struct, frozen=True, gc=False):
    """The task is in the set of `part`."""

    part: str | None


class Ranked(Struct, frozen=True, gc=False):
    """The task is in the sorted set of `part`, at `score`, which is set when the task is made and never changes.

    0 is for sets whose order is that of their members' names. None is the score of a task whose snapshot does not tell it.
    """

    part: str | None
    score: int | None


class Counted(Struct, frozen=True, gc=False):
    """The task counts 1 in `field` of the hash of `part`."""

    part: str | None
    field: str


Entry = Member | Ranked | Counted


@lru_cache(maxsize=4_096)
def members(*parts: str) -> tuple[Member, ...]:
    """The task is in the set of each of `parts`: one object for all tasks with the same, as few agents and tags serve many."""
    return tuple(map(Member, parts))


class View:
    """A read model at `tt:<town>:view:<name>[:<part>]`. A view is a subclass with one of the two methods.

    `schema_version` is raised with every change of what the methods give, so that a checkpoint of another program is told.
    """

    name: ClassVar[str]
    schema_version: ClassVar[int]
    fields: ClassVar[frozenset[str]] = frozenset(Task.__struct_fields__)
    """The fields of a task that `entries` looks at. A view that looks only at those whose values many tasks share is asked
    once for all tasks that are alike (`entries.ViewEntries`)."""
    follows_events: ClassVar[frozenset[type[Event]]] = frozenset()
    """The facts `tally` is asked about; most views need only the task as it is, and a million events are not free."""

    def entries(self, task: Task) -> Sequence[Entry]:
        """What this view holds of `task` as it is, each entry once: a pure function of its fields.

        Entries do not name the task, so that many tasks can share the same ones.
        """
        del task
        return ()

    def tally(self, before: Task | None, recorded: RecordedEvent) -> Sequence[Counted]:
        """What this view counts of an event, for ever; `before` is the task right before it. Pure."""
        del before, recorded
        return ()
