"""Wait: returns once tasks are finished, or their questions answered. It waits for the ledger's events instead of polling."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import EventStore, Position, State, Task, TaskNotFoundError
from projections import TaskFilter

if TYPE_CHECKING:
    from town.reading.reader import Reader
    from town.reading.references import References

WAIT_BLOCK_MS: Final = 1_000
"""How long one call waits for events."""

Look = Callable[[str], Task | None]


class Until(StrEnum):
    """What a wait is for: that tasks are finished, or that their open questions are answered."""

    FINISHED = "finished"
    ANSWERED = "answered"


class Waited(Struct, frozen=True):
    """The result of a wait: id -> the task as last seen, None if it was removed. After a timeout some are still open."""

    tasks: dict[str, Task | None]
    until: Until = Until.FINISHED

    @property
    def is_as_hoped(self) -> bool:
        """Whether all were completed, or all have an answer to their last question."""
        if self.until is Until.FINISHED:
            return self.are_all_completed
        return all(task is not None and task.answer is not None for task in self.tasks.values())

    @property
    def are_all_completed(self) -> bool:
        return all(task is not None and task.state is State.COMPLETED for task in self.tasks.values())

    @property
    def open_tasks(self) -> list[Task]:
        """The tasks that are still waited for."""
        is_done = _is_finished if self.until is Until.FINISHED else _is_answered
        return [task for task in self.tasks.values() if task is not None and not is_done(task)]


def _is_finished(task: Task) -> bool:
    return task.state.is_terminal


def _is_answered(task: Task) -> bool:
    return not task.has_open_question


def tasks_called(name: str, reader: Reader, references: References) -> list[str]:
    """The task with this id, prefix or alias, else the open tasks of the agent with this name. TaskNotFoundError."""
    try:
        return [references.resolve(name)]
    except TaskNotFoundError:
        if not reader.page(TaskFilter(agent=name.strip()), limit=1).tasks:
            raise
    pages = [reader.page(TaskFilter(state=state, agent=name.strip())) for state in (State.RUNNING, State.ASSIGNED)]
    return [task.id for page in pages for task in page.tasks]


def wait_for(
    task_ids: Sequence[str],
    *,
    store: EventStore,
    look: Look,
    position: Position,
    timeout_seconds: float | None = None,
    until: Until = Until.FINISHED,
) -> Waited:
    """Return once every task is as it is waited for or removed, or after `timeout_seconds`. `look` shows a task as of now.

    `position` is that of an event, or of the beginning, from before the call. Source: XREAD BLOCK.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    waited = Waited({task_id: look(task_id) for task_id in task_ids}, until)
    while waited.open_tasks:
        remaining_ms = WAIT_BLOCK_MS if deadline is None else int((deadline - time.monotonic()) * 1_000)
        if remaining_ms <= 0:
            return waited
        if store.wait(position, block_ms=min(remaining_ms, WAIT_BLOCK_MS)):
            changed: set[str] = set()
            for batch in store.read_batches(position):
                position = batch[-1].position
                changed |= {recorded.task for recorded in batch} & waited.tasks.keys()
            waited.tasks.update({task_id: look(task_id) for task_id in changed})
    return waited
