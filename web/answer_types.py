"""The types of answers, for the OpenAPI document alone: nothing is made of them. Tests hold real answers against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from ledger import TITLE
from projections import Snapshot

_LONG: Final = ("description", "result")
"""What a card does not have."""

Position = Annotated[str, Meta(pattern=r"^[0-9]+-[0-9]+$", description="Of an event: milliseconds and number.")]
Time = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds and `Z`.")]
Page = Annotated[dict[str, Any] | None, Meta(description="The parameters of the next page; null if there is none.")]


if TYPE_CHECKING:

    class Task(Struct):
        """The fields of a task's snapshot, and its title."""

    class Card(Struct):
        """As Task, but where it is a card it has no description and no result."""

else:

    def _task(name: str, words: str, *, optional: tuple[str, ...] = ()) -> type[Struct]:
        """A struct with the fields of a snapshot and the title."""
        found = {each.name: each for each in fields(Snapshot)}
        required = [(each.name, each.type) for each in found.values() if each.required and each.name not in optional]
        rest = [(each.name, each.type, msgspec.UNSET) for each in found.values() if not each.required]
        given = [(each, found[each].type | msgspec.UnsetType, msgspec.UNSET) for each in optional]
        made = msgspec.defstruct(name, [*required, (TITLE, str), *given, *rest], module=__name__)
        made.__doc__ = words
        return made

    Task = _task("Task", "The fields of a task's snapshot, and its title.")
    Card = _task("Card", "As Task, but where it is a card it has no description and no result.", optional=_LONG)


class Moment(Struct, kw_only=True):
    """An event's position, its number, and when it was recorded."""

    position: Position
    number: int
    time: Time


class TownAnswer(Struct, kw_only=True):
    """What an answer says of the town, and of how WHENs were understood."""

    town: str
    understood: dict[str, dict[str, Any]] = {}


class MomentAnswer(Moment, kw_only=True):
    """An answer about one moment of the town."""

    town: str
    understood: dict[str, dict[str, Any]] = {}


class Overview(MomentAnswer, kw_only=True):
    """The town: its moments, and how many tasks are in each state and of each agent."""

    first: Moment | None
    end: Moment
    states: dict[str, int]
    agents: dict[str, dict[str, int]]
    actor: str
    may_write: bool
    program: str


class TownPath(Struct, kw_only=True):
    """A town that is served, and where its paths begin."""

    town: str
    path: str


class Towns(Struct, kw_only=True):
    """The towns that are served."""

    towns: list[TownPath]


class Tasks(MomentAnswer, kw_only=True):
    """A page of tasks. `total` is null if they were not counted."""

    total: int | None
    has_more: bool
    next: Page
    offset: int
    tasks: list[Card]


class Event(Moment, kw_only=True):
    """An event as it is stored; in a list of many tasks, with its task's alias and title."""

    type: str
    schema: int
    task: str
    version: int
    actor: str
    command: str
    prev: Position | None
    data: Any
    reason: str = ""
    cause: Position = ""
    occurred_at: Time = ""
    flaw: Annotated[str, Meta(description="Why no command can have made the event.")] = ""
    annotations: list[dict[str, Any]] = []
    alias: str | None = None
    title: str | None = None
    changes: Annotated[list[dict[str, Any]], Meta(description="In a history: the fields that it changed.")] = []


class Message(Event, kw_only=True):
    """An event that was appended: the data of a message of the stream, whose id is its position."""


class SomeNotes(Struct, kw_only=True):
    """The last notes of a task."""

    total: int
    has_more: bool
    notes: list[dict[str, Any]]


class SomeTasks(Struct, kw_only=True):
    """The first tasks of some. A link may lead to a task that was removed; it is null."""

    total: int
    has_more: bool
    tasks: list[Any]
    states: dict[str, int] | None = None


class SomeEvents(Struct, kw_only=True):
    """The last events of a task, the first of them first."""

    total: int
    has_more: bool
    events: list[Event]


class OneTask(TownAnswer, kw_only=True):
    """A task and what is around it. The moment is there if it is not now."""

    position: Position = ""
    number: int = 0
    time: Time = ""
    task: Task
    notes: SomeNotes
    children: SomeTasks
    links: dict[str, SomeTasks]
    events: SomeEvents


class History(Struct, kw_only=True):
    """All events of a task, oldest first."""

    town: str
    task: str
    total: int
    events: list[Event]


class RunOutput(Struct, kw_only=True):
    """The end of a run's log, when the run last printed something, and the bytes of the whole log."""

    run: str
    time: Time
    bytes: int
    is_whole: bool
    text: str


class Output(Struct, kw_only=True):
    """What a task's last run printed; null if the server's machine has no log of one."""

    town: str
    task: str
    output: RunOutput | None


class Log(TownAnswer, kw_only=True):
    """A page of events, newest first."""

    has_more: bool
    next: Page
    events: list[Event]


class Column(Struct, kw_only=True):
    """A column: its key, the title if that is a task, how many tasks it has, and the first of them."""

    key: str | int | None
    title: str | None
    total: int
    has_more: bool
    tasks: list[Card]


class Board(Moment, kw_only=True):
    """The board in columns."""

    town: str
    by: str
    total: int
    columns: list[Column]


class Step(Moment, kw_only=True):
    """What an event changed on the board: its task before and after it. Both are null if it is of the town itself."""

    type: str
    actor: str
    task: str
    before: Card | None
    after: Card | None


class Steps(Struct, kw_only=True):
    """Steps, oldest first: they lead from the board `after` a position to the board at `position`."""

    town: str
    after: Position
    position: Position
    has_more: bool
    steps: list[Step]


class Bucket(Struct, kw_only=True):
    """The events from one number to another."""

    from_: int = msgspec.field(name="from")
    to: int
    start: Time
    end: Time
    events: int
    failures: int
    reopenings: int


class Timeline(Struct, kw_only=True):
    """The town's life in parts of the same length, idle times cut short. It is whole once all events were read."""

    town: str
    events: int
    is_whole: bool
    buckets: list[Bucket]


class Percentiles(Struct, kw_only=True):
    """How many were measured, and percentiles in milliseconds."""

    count: int
    p50: int | None
    p85: int | None
    p95: int | None


class Finished(Struct, kw_only=True):
    """A task that was completed or failed, and how long it took since it was created, and since it was started."""

    number: int
    time: Time
    lead_ms: int
    cycle_ms: int | None
    task: str
    title: str


class Charts(Struct, kw_only=True):
    """Each day with events, and how long tasks took."""

    town: str
    days: list[dict[str, Any]]
    lead: Percentiles
    cycle: Percentiles
    finished: list[Finished]


class Receipt(Struct, kw_only=True):
    """The task after a command, and the positions of its events; none if all was so already."""

    town: str
    task: Task
    positions: list[Position]


class Printed(Struct, kw_only=True):
    """What the command prints with `--json`: the reference of JSON describes it."""

    town: str


class Problem(Struct, kw_only=True):
    """RFC 9457. `detail` is what `tt` says; `error` names the error, whose facts stand beside it."""

    type: str
    title: str
    status: int
    detail: str
    error: str = ""
