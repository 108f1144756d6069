"""Keyed commands: a command whose id its caller chose is carried out once, however often it is asked for.

A caller that got no answer sends it again with the same id. The id is that of its events, so they are looked for in the
histories of the tasks that the command is about: before each attempt, and after a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from ledger import (
    CommandRejectedError,
    EventStore,
    InvalidValueError,
    RecordedEvent,
    Task,
    TaskNotFoundError,
    WrongExpectedVersionError,
    evolve_known,
    task_id_of_command,
)
from town.backend import Backend, Keyed
from town.reading.command_events import events_of_command
from town.reading.references import References
from town.writer import Receipt, RepeatedError, Writer

Result = TypeVar("Result")


def carry_out_once(
    backend: Backend, references: References, key: str, call: Callable[[], Result], about: Sequence[str]
) -> Result | Receipt:
    """What `call` returns, whose command has the id `key`; the receipt of that command if it was carried out before.

    The command is `about` these tasks; about none if it creates one that has no alias. InvalidValueError, and what `call` raises.
    """
    command_id = check_key(key)

    def find() -> Receipt | None:
        known = _known(references, about) if about else [task_id_of_command(backend.alias_town, command_id)]
        return find_command(backend.store, command_id, known)

    backend.keyed = Keyed(command_id, find)
    try:
        return _unless_repeated(backend, call)
    except RepeatedError as repeated:
        return repeated.receipt
    finally:
        backend.keyed = None


def _unless_repeated(backend: Backend, call: Callable[[], Result]) -> Result:
    """What `call` returns. RepeatedError, also where it was refused because the same command was first."""
    try:
        return call()
    except (CommandRejectedError, WrongExpectedVersionError):
        # Any other error says what became of this command: that it waits for replicas, or that nobody knows.
        Writer(backend).refuse_repeat()
        raise


def _known(references: References, about: Sequence[str]) -> list[str]:
    found = []
    for reference in about:
        with suppress(TaskNotFoundError):
            found.append(references.resolve(reference, is_removed_too=True))
    return found


def check_key(key: str) -> str:
    """The UUID as it is written in events. InvalidValueError."""
    try:
        return str(UUID(key.strip()))
    except ValueError as error:
        raise InvalidValueError("command id", "is no UUID", "Make a new UUID for each command.") from error


def find_command(store: EventStore, command_id: str, task_ids: Sequence[str]) -> Receipt | None:
    """The receipt of the command with this id, if one of these tasks has an event of it."""
    for task_id in task_ids:
        history = store.history(task_id)
        own = [number for number, event in enumerate(history, 1) if event.command == command_id]
        if own:
            events = events_of_command(store, history[own[-1] - 1])
            return Receipt(_task_after(history[: own[-1]]), tuple(event.position for event in events))
    return None


def _task_after(history: Sequence[RecordedEvent]) -> Task:
    """The task after these events, as the receipt of the last one's command has it: a removed one as it was."""
    task: Task | None = None
    for recorded in history:
        last = task
        task = evolve_known(task, recorded)
    remaining = task or last
    assert remaining is not None, "a command either makes a task or finds one"
    return remaining
