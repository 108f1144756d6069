"""Which facts a task takes in which states: Tinytown's state machine as one table (DESIGN 4).

`decide` makes only these transitions, and `evolve` accepts only these from events that are read, so the two cannot drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.events import (
    Event,
    EventAnnotated,
    TaskAdopted,
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
    TownForked,
    TownRecovered,
    Unfit,
)
from ledger.state import State

_OPEN: Final = frozenset({State.PENDING, State.ASSIGNED, State.RUNNING})
_FINISHED: Final = frozenset(State) - _OPEN

STATES: Final[Mapping[type[Event], frozenset[State]]] = {
    TaskCreated: frozenset(),
    TaskAdopted: frozenset(),
    TaskAssigned: _OPEN,
    TaskStarted: frozenset({State.ASSIGNED}),
    TaskCompleted: frozenset({State.RUNNING}),
    TaskFailed: frozenset({State.RUNNING}),
    TaskCancelled: _OPEN,
    TaskRequeued: frozenset({State.ASSIGNED, State.RUNNING}),
    TaskReopened: _FINISHED,
    TaskDescribed: _OPEN,
    TaskMoved: _OPEN,
    TaskTagged: _OPEN | _FINISHED,
    TaskNoted: _OPEN | _FINISHED,
    TaskPrioritised: _OPEN | _FINISHED,
    TaskScheduled: _OPEN | _FINISHED,
    TaskLinked: _OPEN | _FINISHED,
    TaskUnlinked: _OPEN | _FINISHED,
    TaskAsked: _OPEN,
    TaskAnswered: _OPEN,
    TaskRemoved: _OPEN | _FINISHED,
    TownForked: frozenset(),
    TownRecovered: frozenset(),
    EventAnnotated: frozenset(),
    Unfit: frozenset(),
}
"""The states of an existing task in which a command may lead to each fact."""

CREATIONS: Final = frozenset({TaskCreated, TaskAdopted})
"""The facts that create a task; a task's first event is one of them."""
