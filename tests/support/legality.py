"""What may happen to a task next: DESIGN 4's table, written down a second time without the source's fold.

A Life is all that legality and the wished state look at. `step` gives the life after a fact, or IllegalFactError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from ledger import (
    Event,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
)

OPEN: Final = frozenset({"pending", "assigned", "running"})
ENDED: Final = frozenset({"completed", "failed", "cancelled"})

LEGAL_IN: Final[dict[type[Event], frozenset[str]]] = {
    TaskCreated: frozenset({"absent"}),
    TaskAssigned: OPEN,
    TaskStarted: frozenset({"assigned"}),
    TaskCompleted: frozenset({"running"}),
    TaskFailed: frozenset({"running"}),
    TaskCancelled: OPEN,
    TaskRequeued: frozenset({"assigned", "running"}),
    TaskReopened: ENDED,
    TaskDescribed: OPEN,
    TaskMoved: OPEN,
    TaskTagged: OPEN | ENDED,
    TaskNoted: OPEN | ENDED,
    TaskPrioritised: OPEN | ENDED,
    TaskScheduled: OPEN | ENDED,
    TaskLinked: OPEN | ENDED,
    TaskUnlinked: OPEN | ENDED,
    TaskAsked: OPEN,
    TaskAnswered: OPEN,
    TaskRemoved: OPEN | ENDED,
}
"""The states in which each fact may happen. An answer needs an open question, too."""


class IllegalFactError(AssertionError):
    """The machine does not allow this fact in this state."""


class Life(NamedTuple):
    """A task as far as its machine and content go; `absent` before it is created and after it is removed."""

    state: str = "absent"
    agent: str | None = None
    result: str | None = None
    description: str = ""
    parent: str | None = None
    tags: frozenset[str] = frozenset()


_PENDING_AGAIN: Final = {"state": "pending", "agent": None, "result": None}
_CHANGES: Final[dict[type[Event], Callable[[Life, Any], dict[str, Any]]]] = {
    TaskCreated: lambda _, fact: {
        "state": "pending",
        "description": fact.description,
        "parent": fact.parent_id,
        "tags": frozenset(fact.tags),
    },
    TaskAssigned: lambda _, fact: {"state": "assigned", "agent": fact.agent},
    TaskStarted: lambda *_: {"state": "running"},
    TaskCompleted: lambda _, fact: {"state": "completed", "result": fact.result},
    TaskFailed: lambda _, fact: {"state": "failed", "result": fact.error},
    TaskCancelled: lambda _, fact: {"state": "cancelled", "result": fact.reason},
    TaskRequeued: lambda *_: _PENDING_AGAIN,
    TaskReopened: lambda *_: _PENDING_AGAIN,
    TaskDescribed: lambda _, fact: {"description": fact.description},
    TaskMoved: lambda _, fact: {"parent": fact.parent_id},
    TaskTagged: lambda life, fact: {"tags": (life.tags - set(fact.removed)) | set(fact.added)},
    **dict.fromkeys(
        (TaskNoted, TaskPrioritised, TaskScheduled, TaskLinked, TaskUnlinked, TaskAsked, TaskAnswered), lambda *_: {}
    ),
    TaskRemoved: lambda *_: Life()._asdict(),
}
"""What each fact changes of a life."""


def step(life: Life, fact: Event) -> Life:
    """The life after `fact`; IllegalFactError where the machine does not allow it."""
    if life.state not in LEGAL_IN[type(fact)]:
        raise IllegalFactError(f"{fact} of a task that is {life.state}")
    return life._replace(**_CHANGES[type(fact)](life, fact))


def live(facts: Iterable[Event], life: Life | None = None) -> Life:
    """The life after all facts; IllegalFactError at the first that is not allowed."""
    life = life or Life()
    for fact in facts:
        life = step(life, fact)
    return life
