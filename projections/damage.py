"""Damage: finds the event of a task that no command can make, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy

from ledger import (
    TOWN_ID,
    EventStore,
    Position,
    RecordedEvent,
    Task,
    TaskDamagedError,
    evolve_known,
    flaw_in,
    flaw_of,
)


def damage_of(store: EventStore, task: Task) -> TaskDamagedError | None:
    """What is wrong with a task, with its event looked up; None if nothing is. Source: XRANGE."""
    if task.damaged_at is None:
        return None
    recorded = store.event_at(Position(task.damaged_at))
    return TaskDamagedError(task.id, task.damaged_at, None if recorded is None else flaw_of(task, recorded))


def damage_of_absent(events: Sequence[RecordedEvent]) -> TaskDamagedError | None:
    """The first of these events (oldest first) that no command can make, if the task does not exist because of it; else None."""
    task: Task | None = None
    damage: TaskDamagedError | None = None
    for recorded in events:
        flaw = flaw_of(task, recorded)
        task = evolve_known(copy(task), recorded)
        if flaw is not None and damage is None:
            damage = TaskDamagedError(recorded.task, recorded.position, flaw)
    return damage if task is None else None


def find_flaws(
    events: Iterable[RecordedEvent], look: Callable[[Sequence[str]], Sequence[Task | None]]
) -> dict[str, str]:
    """Position -> what is wrong, for the events that no command can make. `look` returns the current tasks with some ids."""
    events = list(events)
    flaws = {recorded.at: flaw for recorded in events if (flaw := flaw_in(recorded)) is not None}
    # Of the town itself there is no task to look at.
    others = [recorded for recorded in events if recorded.at not in flaws and recorded.task != TOWN_ID]
    ids = sorted({recorded.task for recorded in others})
    tasks = dict(zip(ids, look(ids), strict=True)) if ids else {}
    for recorded in others:
        task = tasks[recorded.task]
        if task is not None and task.damaged_at == recorded.at:
            flaws[recorded.at] = flaw_of(task, recorded) or "no command can make it"
    return flaws
