"""The facts of a task's life, one Struct each (DESIGN 4 has the table).

A fact is what an event's `data` holds. Who, when and where in the order belongs to `recorded_event`. `type` is its
name on the wire, `schema` the newest shape of its data; older shapes are lifted by `upcasters`. `docs/reference/events.md`
describes each for readers.
"""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import Struct


class Event(Struct, frozen=True, gc=False):
    """What happened to one task."""

    type: ClassVar[str]
    schema: ClassVar[int] = 1


class TaskCreated(Event, frozen=True, gc=False):
    """A task came to be, pending; or a removed task came back. Always the full content."""

    type: ClassVar[str] = "task.created"
    description: str
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    alias: str | None = None


class TaskAssigned(Event, frozen=True, gc=False):
    """An agent got the task; from another agent where one had it (a hand-over)."""

    type: ClassVar[str] = "task.assigned"
    agent: str


class TaskStarted(Event, frozen=True, gc=False):
    """The agent began to work."""

    type: ClassVar[str] = "task.started"


class TaskCompleted(Event, frozen=True, gc=False):
    """The work is done."""

    type: ClassVar[str] = "task.completed"
    result: str | None = None


class TaskFailed(Event, frozen=True, gc=False):
    """The work ended without success."""

    type: ClassVar[str] = "task.failed"
    error: str | None = None


class TaskCancelled(Event, frozen=True, gc=False):
    """The work is no longer wanted."""

    type: ClassVar[str] = "task.cancelled"
    reason: str | None = None


class TaskRequeued(Event, frozen=True, gc=False):
    """The task went back to the backlog; the agent no longer has it."""

    type: ClassVar[str] = "task.requeued"


class TaskReopened(Event, frozen=True, gc=False):
    """A finished task is pending again, without agent, times and result."""

    type: ClassVar[str] = "task.reopened"


class TaskDescribed(Event, frozen=True, gc=False):
    """The description was replaced."""

    type: ClassVar[str] = "task.described"
    description: str


class TaskTagged(Event, frozen=True, gc=False):
    """Tags came and went."""

    type: ClassVar[str] = "task.tagged"
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class TaskMoved(Event, frozen=True, gc=False):
    """The task has another parent, or none."""

    type: ClassVar[str] = "task.moved"
    parent_id: str | None = None


class TaskNoted(Event, frozen=True, gc=False):
    """Somebody noted progress; the state is unchanged."""

    type: ClassVar[str] = "task.noted"
    text: str


class TaskRemoved(Event, frozen=True, gc=False):
    """The task is gone from snapshots and views; its history stays."""

    type: ClassVar[str] = "task.removed"


EVENT_CLASSES: Final[tuple[type[Event], ...]] = (
    TaskCreated,
    TaskAssigned,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    TaskCancelled,
    TaskRequeued,
    TaskReopened,
    TaskDescribed,
    TaskTagged,
    TaskMoved,
    TaskNoted,
    TaskRemoved,
)
"""Every fact, in the order of the reference page."""
