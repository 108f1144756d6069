"""Relatives: the tasks right around a task."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ledger import State, Task


class Relatives(Struct, frozen=True):
    """A task's parent (None if it has none, or if that was removed), and the first of its children, oldest first.

    `total` is how many children it has, and `states` how many of them are in each state that some are in; empty if they were
    too many to be counted.
    """

    parent: Task | None
    children: tuple[Task, ...]
    total: int
    states: Mapping[State, int]
