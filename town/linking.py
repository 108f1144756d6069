"""Linking: finds what new ties of a task would close into a circle, and what that answer stands on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ledger import Basis, Event, Task, TaskAdopted, TaskCreated, TaskLinked, TaskMoved, Ties, find_circle
from projections import Asked, RedisNeighbours
from town.backend import Backend

CLOSES_CIRCLES: Final[frozenset[type[Event]]] = frozenset({TaskCreated, TaskAdopted, TaskMoved, TaskLinked})
"""The facts that can close a circle together with another one."""


class Circles:
    """Looks for circles in one town."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._ask = RedisNeighbours(backend.client, backend.keys, where=backend.where)

    def basis(self) -> Basis:
        """What the answers from now on stand on. Call it in a town that is caught up, before `find`. Source: HGET, XINFO."""
        look = self._backend.loader.look
        position = self._backend.upkeep.projector.checkpoints.position() if look is None else look.position
        return Basis(position, CLOSES_CIRCLES)

    def find(self, ties: Mapping[str, Ties]) -> tuple[str, ...]:
        """As `find_circle`, if the tasks had these ties."""
        return find_circle(ties, self._look_up)

    def _look_up(self, task_ids: Collection[str]) -> Mapping[str, tuple[Task | None, Collection[str]]]:
        known = self._ask(Asked(tasks=task_ids, children=task_ids))
        return {task_id: (known.tasks[task_id], known.children[task_id]) for task_id in task_ids}
