"""The commands: what somebody wants done to one task. `decide` turns each into events, or refuses it.

A command checks its values when it is made; InvalidValueError says which one does not fit. So every command that exists
can be decided on.
"""

from __future__ import annotations

from ledger.errors import InvalidValueError
from ledger.events import LinkKind
from ledger.run_mark import RunMark
from ledger.values import PRIORITY_DEFAULT, Checked


class Command(Checked, frozen=True, kw_only=True):
    """What to do with the task `task_id`."""

    task_id: str


class CreateTask(Command, frozen=True, kw_only=True):
    """Make a task, or bring a removed one back. With an agent, it is assigned at once.

    `lineage` is as in MoveTask, and `circle` as in LinkTask. Times are milliseconds since 1970 UTC.
    """

    description: str
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    alias: str | None = None
    agent: str | None = None
    lineage: tuple[str, ...] = ()
    priority: int = PRIORITY_DEFAULT
    due_ms: int | None = None
    not_before_ms: int | None = None
    needs: tuple[str, ...] = ()
    circle: tuple[str, ...] = ()


class AssignTask(Command, frozen=True, kw_only=True):
    """Give the task to an agent, taking it from another agent if need be."""

    agent: str


class ClaimTask(Command, frozen=True, kw_only=True):
    """Take the task for an agent, if nobody has it."""

    agent: str


class StartTask(Command, frozen=True, kw_only=True):
    """Begin to work. With `agent`, a pending task is assigned to it first. `run` is the runner's run, if a runner begins it."""

    agent: str | None = None
    run: RunMark | None = None


class CompleteTask(Command, frozen=True, kw_only=True):
    """The work is done; for a pending task, `agent` says who did it.

    `open_children` is how many open tasks the caller found right below it; 0 if they are no obstacle.
    """

    result: str | None = None
    agent: str | None = None
    open_children: int = 0


class FailTask(Command, frozen=True, kw_only=True):
    """The work ended without success; for a pending task, `agent` says who tried."""

    error: str | None = None
    agent: str | None = None


class CancelTask(Command, frozen=True, kw_only=True):
    """The work is no longer wanted."""

    reason: str | None = None


class RequeueTask(Command, frozen=True, kw_only=True):
    """Put an assigned or running task back into the backlog; with `agent`, that agent gets it at once."""

    agent: str | None = None


class ReopenTask(Command, frozen=True, kw_only=True):
    """Make a finished task pending again."""


class DescribeTask(Command, frozen=True, kw_only=True):
    """Replace the description."""

    description: str


class TagTask(Command, frozen=True, kw_only=True):
    """Add and remove tags."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        both = set(self.added) & set(self.removed)
        if both:
            raise InvalidValueError("tag", f"{min(both)!r} is both added and removed", "Choose one of the two.")


class MoveTask(Command, frozen=True, kw_only=True):
    """Put the task below another one, or below none.

    `lineage` holds the ids from the new parent up to its root. The caller reads them and guards their versions, so
    that two moves at once cannot close a circle. `circle` is as in LinkTask.
    """

    parent_id: str | None
    lineage: tuple[str, ...] = ()
    circle: tuple[str, ...] = ()


class NoteTask(Command, frozen=True, kw_only=True):
    """Write down progress."""

    text: str


class PrioritiseTask(Command, frozen=True, kw_only=True):
    """Say how urgent the task is, 0 (most) to 4."""

    priority: int


class ScheduleTask(Command, frozen=True, kw_only=True):
    """Say when the task should be done, and when it may begin; milliseconds since 1970 UTC, None is no time."""

    due_ms: int | None
    not_before_ms: int | None


class LinkTask(Command, frozen=True, kw_only=True):
    """Link the task to others.

    `circle` holds the ids of a circle that the links would close, as the caller found it, else nothing. The caller reads
    what that depends on, and guards it, so that two links at once cannot close a circle.
    """

    to: tuple[str, ...]
    kind: LinkKind
    circle: tuple[str, ...] = ()


class UnlinkTask(Command, frozen=True, kw_only=True):
    """Take the links to another task away: those of one kind, or (None) all."""

    to: tuple[str, ...]
    kind: LinkKind | None = None


class AskTask(Command, frozen=True, kw_only=True):
    """Ask people a question. The task goes back to the backlog, and waits there for the answer."""

    question: str
    choices: tuple[str, ...] = ()


class AnswerTask(Command, frozen=True, kw_only=True):
    """Answer the open question: with one of its choices, or the number of one, if it has some and `is_other` is not set."""

    answer: str
    is_other: bool = False


class RemoveTask(Command, frozen=True, kw_only=True):
    """Take the task off the board; its history stays.

    `children` is how many tasks the caller found below it. With `is_from_backlog`, only a pending task is removed.
    """

    children: int = 0
    is_from_backlog: bool = False
