"""Makes tasks and events for tests, so that a test says only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from ledger import Event, EventStore, NewEvent, Position, RecordedEvent, State, Task, new_command_id, record

TASK = "550e8400-e29b-41d4-a716-446655440000"
START_MS = 1_795_398_503_973


def task_id(number: int) -> str:
    """A readable task id: 00000000-0000-4000-8000-000000000007."""
    return str(UUID(f"00000000-0000-4000-8000-{number:012d}"))


def a_task(**fields: Any) -> Task:
    """A pending task at version 1; any field may be given."""
    given: dict[str, Any] = {
        "id": TASK,
        "description": "Implement user authentication",
        "state": State.PENDING,
        "created_at_ms": START_MS,
        "updated_at_ms": START_MS,
        "version": 1,
        "at": str(Position.of(ms=START_MS, seq=1)),
    }
    return Task(**(given | fields))


def a_task_in(state: State, **fields: Any) -> Task:
    """A task as it stands in `state`: worker-1 has it from assigned on, and its result is the state it ended in."""
    given: dict[str, Any] = {"state": state}
    if state is not State.PENDING:
        given["assigned_to"] = "worker-1"
    if state is State.RUNNING or state.is_terminal:
        given["started_at_ms"] = START_MS + 1_000
    if state.is_terminal:
        given |= {"completed_at_ms": START_MS + 2_000, "result": str(state)}
    return a_task(**(given | fields))


def an_event(data: Event, **fields: Any) -> NewEvent:
    """An event that makes version 1 of TASK; any field may be given."""
    given: dict[str, Any] = {"task": TASK, "version": 1, "actor": "alice", "command": new_command_id(), "data": data}
    return NewEvent(**(given | fields))


def recorded(facts: Iterable[Event], *, task: str = TASK, first_version: int = 1) -> list[RecordedEvent]:
    """The facts of one task as the ledger would give them back, a millisecond apart."""
    return [
        record(an_event(data, task=task, version=version), Position.of(ms=START_MS + version, seq=version))
        for version, data in enumerate(facts, first_version)
    ]


def append(store: EventStore, facts: Iterable[Event], *, task: str = TASK, expected: int = 0) -> list[Position]:
    """Append facts of one task as one command."""
    command = new_command_id()
    events = [
        an_event(data, task=task, version=version, command=command) for version, data in enumerate(facts, expected + 1)
    ]
    return store.append(events, {task: expected})
