"""The facts of a task's life and of the town's, one Struct each (DESIGN 4 has the table).

A fact is what an event's `data` holds. Who, when and where in the order belongs to `recorded_event`. `type` is its
name on the wire, `schema` the newest shape of its data; older shapes are lifted by `upcasters`. `docs/reference/events.md`
describes each for readers.

Those of the town go through the same append, under the reserved id `identity.TOWN_ID`, whose versions and `prev` make a history of
their own. No task is folded from them, and no view holds them (`docs/decisions/0030`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta, Struct

from ledger.position import POSITION_PATTERN
from ledger.run_mark import RunMark
from ledger.state import State


class Source(StrEnum):
    """Where a task came from: made by hand, from a plan's file, or from another tracker's export."""

    HAND = "hand"
    PLAN = "plan"
    IMPORT = "import"


class LinkKind(StrEnum):
    """What a link to another task says."""

    NEEDS = "needs"
    """It is blocked until the other is completed."""
    RELATES = "relates"
    DUPLICATES = "duplicates"
    DISCOVERED_FROM = "discovered_from"

    @property
    def verb(self) -> str:
        """How a sentence says it of a task and another one: `relates to`."""
        return _LINK_VERBS.get(self, self)


_LINK_VERBS: Final = {LinkKind.RELATES: "relates to", LinkKind.DISCOVERED_FROM: "was discovered from"}


class OldRecord(Struct, frozen=True, gc=False):
    """A task's record from before the ledger, as found: the text of a string, or the fields of a hash."""

    key: str
    type: Literal["string", "hash"]
    value: str | dict[str, str]


class Event(Struct, frozen=True, gc=False):
    """What happened to one task, or to the town."""

    type: ClassVar[str]
    schema: ClassVar[int] = 1


class TaskCreated(Event, frozen=True, gc=False):
    """A task was created, or a removed task came back; it is pending. Always has the full content."""

    type: ClassVar[str] = "task.created"
    schema: ClassVar[int] = 2
    description: str
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    alias: str | None = None
    source: Source | None = Source.HAND
    """None in events of schema 1, which had no such field."""


class TaskAssigned(Event, frozen=True, gc=False):
    """An agent got the task, perhaps from another agent (a hand-over)."""

    type: ClassVar[str] = "task.assigned"
    agent: str


class TaskStarted(Event, frozen=True, gc=False):
    """The agent began to work. `run` is the runner's run; None if the task was started by hand."""

    type: ClassVar[str] = "task.started"
    schema: ClassVar[int] = 2
    run: RunMark | None = None


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
    """Tags were added and removed."""

    type: ClassVar[str] = "task.tagged"
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class TaskMoved(Event, frozen=True, gc=False):
    """The task got another parent, or none."""

    type: ClassVar[str] = "task.moved"
    parent_id: str | None = None


class TaskNoted(Event, frozen=True, gc=False):
    """Somebody noted progress; the state is unchanged."""

    type: ClassVar[str] = "task.noted"
    text: str


class TaskPrioritised(Event, frozen=True, gc=False):
    """How urgent the task is: 0 is most urgent, 4 is least."""

    type: ClassVar[str] = "task.prioritised"
    priority: int


class TaskScheduled(Event, frozen=True, gc=False):
    """When the task should be done, and when it may begin at the earliest, as both are from now on; None is no time.

    Times are RFC 3339, UTC, milliseconds, `Z`.
    """

    type: ClassVar[str] = "task.scheduled"
    due: str | None = None
    not_before: str | None = None


class TaskLinked(Event, frozen=True, gc=False):
    """The task got a link to the task `to`."""

    type: ClassVar[str] = "task.linked"
    kind: LinkKind
    to: str


class TaskUnlinked(Event, frozen=True, gc=False):
    """The task lost its link to the task `to`."""

    type: ClassVar[str] = "task.unlinked"
    kind: LinkKind
    to: str


class TaskAsked(Event, frozen=True, gc=False):
    """Somebody asked people a question; the task waits for the answer. `choices` are answers to choose from."""

    type: ClassVar[str] = "task.asked"
    question: str
    choices: tuple[str, ...] = ()


class TaskAnswered(Event, frozen=True, gc=False):
    """A person answered the open question."""

    type: ClassVar[str] = "task.answered"
    text: str


class TaskRemoved(Event, frozen=True, gc=False):
    """The task is gone from snapshots and views; its history stays."""

    type: ClassVar[str] = "task.removed"


class TaskAdopted(Event, frozen=True, gc=False):
    """A record from an older key format entered the ledger: what it says, and the record itself.

    Times are the record's, RFC 3339, UTC, milliseconds, `Z`. The first of `records` is the one that was read; others
    are of the same task in other formats.
    """

    type: ClassVar[str] = "task.adopted"
    records: tuple[OldRecord, ...]
    description: str
    state: State
    created_at: str
    updated_at: str
    tags: tuple[str, ...] = ()
    assigned_to: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    result: str | None = None
    parent_id: str | None = None
    alias: str | None = None


class TownEvent(Event, frozen=True, gc=False):
    """What happened to the town, or to one of its events."""


PositionText = Annotated[str, Meta(pattern=POSITION_PATTERN)]


class TownForked(TownEvent, frozen=True, gc=False):
    """The town went its own way: the events up to `position` are those of the town `source`, byte for byte."""

    type: ClassVar[str] = "town.forked"
    source: str
    position: PositionText


class TownRecovered(TownEvent, frozen=True, gc=False):
    """The server had lost events that were acknowledged, from `first` to `last`; `appended` of the `lost` ones follow again."""

    type: ClassVar[str] = "town.recovered"
    first: PositionText
    last: PositionText
    lost: int
    appended: int


class EventAnnotated(TownEvent, frozen=True, gc=False):
    """Somebody wrote a note on the event at `position`."""

    type: ClassVar[str] = "event.annotated"
    position: PositionText
    text: str


class Unfit(Event, frozen=True, gc=False):
    """Stands in for the fact of an event that does not fit its type, or whose position is not a valid time.

    No command makes it, and it changes nothing. `said` is the event's type on the wire, `content` its data as found, `flaw`
    says in words what is wrong.
    """

    type: ClassVar[str] = "unfit"
    said: str
    content: Any
    flaw: str


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
    TaskPrioritised,
    TaskScheduled,
    TaskLinked,
    TaskUnlinked,
    TaskAsked,
    TaskAnswered,
    TaskRemoved,
    TaskAdopted,
)
"""Every fact of a task, in the order of the reference page."""

TOWN_EVENT_CLASSES: Final[tuple[type[TownEvent], ...]] = (TownForked, TownRecovered, EventAnnotated)
"""Every fact of a town, likewise."""
