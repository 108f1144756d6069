"""The contract of a view: what it holds about a task, as entries that can be compared, added and removed.

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

    With score 0 for every member, Redis orders the set by the members' names. None is the score of a task whose snapshot does not tell it.
    """

    part: str | None
    score: int | None


class Counted(Struct, frozen=True, gc=False):
    """The task counts 1 in `field` of the hash of `part`."""

    part: str | None
    field: str


ViewEntry = Member | Ranked | Counted


@lru_cache(maxsize=4_096)
def members(*parts: str) -> tuple[Member, ...]:
    """The task is in the set of each of `parts`. Tasks with the same parts share one tuple: few agents and tags serve many."""
    return tuple(map(Member, parts))


class View:
    """A read model at `tt:<town>:view:<name>[:<part>]`. A view is a subclass that defines one of the two methods.

    Raise `schema_version` with every change of what the methods return, so that the checkpoint shows which program wrote it.
    """

    name: ClassVar[str]
    schema_version: ClassVar[int]
    fields: ClassVar[frozenset[str]] = frozenset(Task.__struct_fields__)
    """The fields of a task that `entries` uses. If many tasks share the values of these fields, the view is asked only once for
    all tasks with equal values (`entries.ViewEntries`)."""
    follows_events: ClassVar[frozenset[type[Event]]] = frozenset()
    """The facts that `tally` counts. Most views need only the present task; asking them about a million events is slow."""

    def entries(self, task: Task) -> Sequence[ViewEntry]:
        """What this view holds about `task`, each entry once: a pure function of its fields.

        Entries do not name the task, so that many tasks can share the same ones.
        """
        del task
        return ()

    def tally(self, before: Task | None, recorded: RecordedEvent) -> Sequence[Counted]:
        """What this view counts for an event, permanently; `before` is the task right before it. Pure.

        A flawed event may be asked about, too, and then the answer is dropped: it must not raise for one.
        """
        del before, recorded
        return ()
