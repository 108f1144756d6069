"""Random legal histories, made by `decide` alone, to fill a ledger quickly."""

from __future__ import annotations

from random import Random

from ledger import (
    AssignTask,
    CancelTask,
    Command,
    CommandRejectedError,
    CompleteTask,
    CreateTask,
    DescribeTask,
    Event,
    EventStore,
    FailTask,
    MoveTask,
    NewEvent,
    NoteTask,
    Position,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    StartTask,
    TagTask,
    Task,
    decide,
    evolve,
    new_command_id,
    record,
)
from tests.support.builders import START_MS, task_id

AGENTS = ("Ada Lovelace", "worker-1", "worker-2")
_COMMANDS_PER_APPEND = 40


class Filler:
    """Fills one ledger with random accepted commands on a few tasks; it must be the ledger's only writer."""

    def __init__(self, store: EventStore, *, seed: int, tasks: int = 12) -> None:
        self._store = store
        self._chance = Random(seed)
        self._tasks = [task_id(number) for number in range(1, tasks + 1)]
        self._states: dict[str, Task | None] = {}
        self._versions = dict.fromkeys(self._tasks, 0)

    def fill(self, commands: int) -> list[Position]:
        """Append what `commands` random wishes lead to; returns the positions."""
        positions: list[Position] = []
        for start in range(0, commands, _COMMANDS_PER_APPEND):
            guards = dict(self._versions)
            events = [event for _ in range(min(_COMMANDS_PER_APPEND, commands - start)) for event in self._decide_one()]
            if events:
                positions += self._store.append(events, guards)
        return positions

    def _decide_one(self) -> list[NewEvent]:
        task = self._chance.choice(self._tasks)
        state = self._states.get(task)
        try:
            facts = decide(state, self._wish(task, state))
        except CommandRejectedError:
            return []
        return [self._take(task, fact) for fact in facts]

    def _take(self, task: str, fact: Event) -> NewEvent:
        self._versions[task] += 1
        event = NewEvent(task=task, version=self._versions[task], actor="filler", command=new_command_id(), data=fact)
        place = Position.of(ms=START_MS, seq=event.version)
        self._states[task] = evolve(self._states.get(task), record(event, place))
        return event

    def _wish(self, task: str, state: Task | None) -> Command:
        chance = self._chance
        if state is None:
            tags = tuple(chance.sample(("a", "b", "c"), 2))
            return CreateTask(
                task_id=task, description=f"{chance.random()} ✅", tags=tags, agent=chance.choice((None, *AGENTS))
            )
        parent = chance.choice((None, *self._tasks[: self._tasks.index(task)]))
        return chance.choice(
            (
                AssignTask(task_id=task, agent=chance.choice(AGENTS)),
                StartTask(task_id=task),
                CompleteTask(task_id=task, result="done", agent=state.assigned_to or AGENTS[0]),
                FailTask(task_id=task, error="it broke", agent=state.assigned_to or AGENTS[1]),
                CancelTask(task_id=task),
                RequeueTask(task_id=task),
                ReopenTask(task_id=task),
                DescribeTask(task_id=task, description=f"{chance.random()}"),
                TagTask(task_id=task, added=("x",), removed=("a",)),
                TagTask(task_id=task, added=("a",), removed=("x",)),
                NoteTask(task_id=task, text="half way"),
                MoveTask(task_id=task, parent_id=parent),
                RemoveTask(task_id=task),
            )
        )
