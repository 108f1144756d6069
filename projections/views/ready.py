"""What can be worked on, in its order. A task's entries depend on other tasks: `readiness` keeps them in step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, Final, NamedTuple

from ledger import TIME_MS_MAX, State, Task
from projections.views.view import Member, Ranked, View, ViewEntry

DEPENDENTS_TOLD_MAX: Final = (1 << 14) - 1
"""More dependents than these do not move a task further to the front."""
_NUMBER_BITS: Final = 36
_DEPENDENTS_BITS: Final = 14
OPEN_STATES: Final = (State.PENDING, State.ASSIGNED, State.RUNNING)
_WAITS: Final = frozenset({State.PENDING, State.ASSIGNED})

PENDING: Final = "pending"
BACKLOG: Final = "backlog"
BLOCKED: Final = "blocked"
LATER: Final = "later"


class Gate(NamedTuple):
    """What keeps a task, and all tasks below it, from being begun.

    It `is_blocked` by a need that is not completed or a question without an answer, its own or one of a task above. `from_ms` is
    when it may begin at the earliest, milliseconds since 1970 UTC; 0 is at any time.
    """

    is_blocked: bool = False
    from_ms: int = 0


OPEN: Final = Gate()


class Counts(NamedTuple):
    """How many open tasks are right below a task, and how many open tasks need it."""

    open_children: int = 0
    dependents: int = 0


NO_COUNTS: Final = Counts()


class Ready(View):
    """The tasks that can be begun, by rank; `later` says when at the earliest, if not at any time.

    `pending` has those that nobody has, and `agent:<name>` those that are assigned to an agent. `backlog` has all pending tasks
    that nobody has in the same order, blocked or not. `blocked` and `later` have the gates of tasks, also of finished ones,
    because they hold for the tasks below.
    """

    name: ClassVar[str] = "ready"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset()


def agent_part(agent: str) -> str:
    """The part of the view that has the tasks of an agent."""
    return f"agent:{agent}"


def time_of(score: float | None) -> int:
    """The time that a score of `later` says, milliseconds since 1970 UTC; 0 for none. What is no time counts as one that never comes."""
    if score is None:
        return 0
    return int(score) if 0 <= score <= TIME_MS_MAX else TIME_MS_MAX


def rank(task: Task, dependents: int) -> int:
    """The place among the tasks that can be begun, lowest first: by priority, then by how many open tasks need it, then by age.

    It is exact as a double, which a sorted set keeps.
    """
    fewer = DEPENDENTS_TOLD_MAX - min(dependents, DEPENDENTS_TOLD_MAX)
    number = task.created_number or 0
    return (((task.priority << _DEPENDENTS_BITS) + fewer) << _NUMBER_BITS) + number


def by_rank(tasks: Iterable[Task]) -> list[Task]:
    """The pending ones that nobody has, by rank, of all open tasks of a board."""
    given = list(tasks)
    dependents = Counter(needed for task in given if not task.state.is_terminal for needed in task.needs)
    waiting = [task for task in given if task.state is State.PENDING and task.assigned_to is None]
    return sorted(waiting, key=lambda task: rank(task, dependents[task.id]))


def gate_of(task: Task, above: Gate, *, has_unmet_needs: bool) -> Gate:
    """The gate of a task whose parent has the gate `above`. A finished task only hands that on."""
    if task.state.is_terminal:
        return above
    is_blocked = above.is_blocked or has_unmet_needs or task.has_open_question
    return Gate(is_blocked, max(above.from_ms, task.not_before_ms or 0))


def entries_of(task: Task | None, gate: Gate, counts: Counts) -> list[ViewEntry]:
    """What the view holds about a task, of which these other tasks tell."""
    entries: list[ViewEntry] = []
    if task is None:
        return entries
    if gate.is_blocked:
        entries.append(Member(BLOCKED))
    if gate.from_ms:
        entries.append(Ranked(LATER, gate.from_ms))
    if task.state not in _WAITS:
        return entries
    place = rank(task, counts.dependents)
    if task.state is State.PENDING and task.assigned_to is None:
        entries.append(Ranked(BACKLOG, place))
    if not gate.is_blocked and not counts.open_children and task.damaged_at is None:
        part = PENDING if task.state is State.PENDING else None if task.holder is None else agent_part(task.holder)
        if part is not None:
            entries.append(Ranked(part, place))
    return entries
