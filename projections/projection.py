"""The contract of a projection: what it shows of a task, as entries that can be compared, added and taken away.

A view is a function of a task as it is now. So the projector writes the difference between a task's entries before and
after a batch, a rebuild writes the entries of the last state, and both end with the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from ledger import Task


class Member(NamedTuple):
    """The task is in the set of `part`."""

    part: str | None
    task: str


class Ranked(NamedTuple):
    """The task is in the sorted set of `part`, at `score`."""

    part: str | None
    task: str
    score: int


class Counted(NamedTuple):
    """The task counts 1 in `field` of the hash of `part`."""

    part: str | None
    field: str


Entry = Member | Ranked | Counted


class View(Protocol):
    """A read model at `tt:<town>:view:<name>[:<part>]`.

    `schema_version` is raised with every change of what `entries` gives, so that a checkpoint of another program is told.
    """

    @property
    def name(self) -> str: ...

    @property
    def schema_version(self) -> int: ...

    def entries(self, task: Task) -> Iterable[Entry]:
        """What this view holds of `task`: a pure function of its fields."""
        ...
