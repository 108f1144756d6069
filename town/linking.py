"""Linking: finds what new ties of a task would close into a circle, and what that answer stands on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from ledger import (
    Basis,
    CircularNeedsError,
    DesiredTask,
    Event,
    LinkKind,
    Task,
    TaskAdopted,
    TaskCreated,
    TaskLinked,
    TaskMoved,
    TaskRemoved,
    Ties,
    find_circle,
)
from projections import Asked, RedisNeighbours
from town.backend import Backend
from town.writer import Decided

BRINGS_CHILDREN: Final[frozenset[type[Event]]] = frozenset({TaskCreated, TaskAdopted, TaskMoved})
"""The facts that can put a task below another one."""
CLOSES_CIRCLES: Final = BRINGS_CHILDREN | {TaskLinked}
"""The facts that can close a circle together with another one."""
SEARCHES_MAX: Final = 5
"""How often a circle is looked for that is gone when it is looked at again."""


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

    def childless_basis(self, task_ids: Iterable[str]) -> Basis:
        """As `basis`, for an answer that no task is below one of these."""
        return self.basis()._replace(disturbed_by=BRINGS_CHILDREN, parents=frozenset(task_ids))

    def circle(self, task_id: str, parent_id: str | None, needs: Iterable[str]) -> tuple[str, ...]:
        """As `find`, if one task had these ties."""
        return self.find({task_id: Ties(parent_id, tuple(needs))})

    def find(self, ties: Mapping[str, Ties]) -> tuple[str, ...]:
        """As `find_circle`, if the tasks had these ties. All of the circle was there at one moment.

        The search takes several trips. While others change links meanwhile, it may put together what never was.
        """
        for _ in range(SEARCHES_MAX):
            circle = find_circle(ties, self._look_up)
            if not circle or self._stands(circle, ties):
                break
        return circle

    def check(
        self,
        decided: Iterable[Decided],
        desired: Mapping[str, DesiredTask | None],
        states: Mapping[str, tuple[Task | None, int]],
        *,
        basis: Basis,
    ) -> Basis | None:
        """What decisions stand on that lead tasks from their `states` to what is desired: from `basis` on nobody closes a circle
        together with them, or removes a task that they tie another one to. None if it does not matter. CircularNeedsError.
        """
        given = [*decided]
        disturbed_by = frozenset[type[Event]]()
        if any(_may_close(version, events) for _, version, events in given):
            circle = self.find(
                {
                    task_id: ties_of(target, states[task_id][0])
                    for task_id, target in desired.items()
                    if target is not None
                }
            )
            if circle:
                raise CircularNeedsError(circle)
            disturbed_by = basis.disturbed_by
        if any(_ties(event) for _, _, events in given for event in events):
            disturbed_by |= {TaskRemoved}
        return basis._replace(disturbed_by=disturbed_by) if disturbed_by else None

    def _stands(self, circle: Sequence[str], ties: Mapping[str, Ties]) -> bool:
        """Whether each task of the circle is tied to the next one, all read at once."""
        tasks = self._ask(Asked(tasks=set(circle))).tasks
        now = {task_id: Ties() if task is None else Ties(task.parent_id, task.needs) for task_id, task in tasks.items()}
        now |= {task_id: ties[task_id] for task_id in ties.keys() & now.keys()}
        return all(
            other in (now[one].parent_id, *now[one].needs) or now[other].parent_id == one
            for one, other in pairwise(circle)
        )

    def _look_up(self, task_ids: Collection[str]) -> Mapping[str, tuple[Task | None, Collection[str]]]:
        known = self._ask(Asked(tasks=task_ids, children=task_ids))
        return {task_id: (known.tasks[task_id], known.children[task_id]) for task_id in task_ids}


def ties_of(target: DesiredTask, task: Task | None) -> Ties:
    """The ties of a task that is as desired; where that says nothing of needs, they are what they are."""
    needs = target.links.get(LinkKind.NEEDS)
    return Ties(target.parent_id, needs if needs is not None else () if task is None else task.needs)


def _ties(event: Event) -> bool:
    """Whether the event ties its task to another one."""
    return isinstance(event, TaskLinked) or (isinstance(event, TaskCreated | TaskMoved) and event.parent_id is not None)


def _may_close(version: int, events: Iterable[Event]) -> bool:
    """Whether these events can close a circle. Nothing leads to a task that is all new, except from its parent."""
    return any(
        (isinstance(event, TaskLinked) and event.kind is LinkKind.NEEDS)
        or (isinstance(event, TaskMoved) and event.parent_id is not None)
        or (isinstance(event, TaskCreated) and version > 0)
        for event in events
    )
