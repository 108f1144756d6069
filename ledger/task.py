"""A task, its fields, and how its events make it: `evolve` is one step, `fold` is all of them. Pure.

A fold owns the task that it evolves, so `evolve` changes it in place and returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct

from ledger.errors import MisplacedEventError, SequenceGapError
from ledger.events import (
    Event,
    LinkKind,
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
)
from ledger.identity import is_task_id
from ledger.position import Position, ms_of, number_of, seq_of
from ledger.recorded_event import RecordedEvent
from ledger.soundness import TEXT_CHARS_SURE, flaw_in, flaw_of, names, tag_sets
from ledger.state import State
from ledger.times import from_ms, parse_rfc3339
from ledger.transitions import STATES
from ledger.values import PRIORITY_DEFAULT, title_of

# For a fold, reading a member off its class is as slow as setting three fields.
_PENDING: Final = State.PENDING
_ASSIGNED: Final = State.ASSIGNED
_RUNNING: Final = State.RUNNING
_COMPLETED: Final = State.COMPLETED
_FAILED: Final = State.FAILED
_CANCELLED: Final = State.CANCELLED
_TAKES_ASSIGNED: Final = STATES[TaskAssigned]
[_TAKES_STARTED] = STATES[TaskStarted]
[_TAKES_COMPLETED] = STATES[TaskCompleted]


class Task(Struct, kw_only=True, gc=False):
    """A task at one version. Times are milliseconds since 1970 UTC, taken from positions; `tags` are sorted.

    `created_number` is the sequence number of the event that created the task, so it orders tasks by age. It is None only
    where the task was read from the snapshot of an older program, which did not store it. `at` is the position of its
    last event, as text.

    `priority` is 0 (most urgent) to 4. `needs`, `relates`, `duplicates` and `discovered_from` are the sorted ids of the
    tasks that it is linked to, by kind. `question` is the last question to people, with the `choices` to answer it;
    `answer` is None until somebody answers, and `asked_at_ms` is when it was asked.

    `damaged_at` is the position of its first event that no command can make. From there on only `version` and `at` change.
    """

    id: str
    description: str
    state: State
    created_at_ms: int
    updated_at_ms: int
    version: int
    at: str
    assigned_to: str | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None
    result: str | None = None
    parent_id: str | None = None
    tags: tuple[str, ...] = ()
    alias: str | None = None
    damaged_at: str | None = None
    created_number: int | None = None
    priority: int = PRIORITY_DEFAULT
    due_ms: int | None = None
    not_before_ms: int | None = None
    needs: tuple[str, ...] = ()
    relates: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    discovered_from: tuple[str, ...] = ()
    question: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    asked_at_ms: int | None = None

    @property
    def position(self) -> Position:
        """The position of its last event."""
        return Position(self.at)

    @property
    def title(self) -> str:
        """The first line of its description."""
        return title_of(self.description)

    @property
    def holder(self) -> str | None:
        """Who has the task. A pending task has no holder, even if the record that was adopted named an agent."""
        return None if self.state is _PENDING else self.assigned_to

    @property
    def has_open_question(self) -> bool:
        """Whether it waits for a person's answer."""
        return self.question is not None and self.answer is None and not self.state.is_terminal

    def links(self, kind: LinkKind) -> tuple[str, ...]:
        """The ids of the tasks that it has such a link to, sorted."""
        linked: tuple[str, ...] = getattr(self, kind)
        return linked

    @property
    def created_at(self) -> datetime:
        return from_ms(self.created_at_ms)

    @property
    def updated_at(self) -> datetime:
        return from_ms(self.updated_at_ms)

    @property
    def started_at(self) -> datetime | None:
        return None if self.started_at_ms is None else from_ms(self.started_at_ms)

    @property
    def completed_at(self) -> datetime | None:
        return None if self.completed_at_ms is None else from_ms(self.completed_at_ms)


# --- the fields as readers know them ---------------------------------------------------------------------------

# A field is written down once, in `Task`, and snapshots, histories, `--json` and the detail view are made from FIELDS, where
# a new one is unasked. What is written down here is what does not follow from `Task`: mostly the fields of the first snapshots.


class Field(Struct, frozen=True):
    """A field of a task, as readers know it."""

    attribute: str
    """Its name in `Task`."""
    name: str
    """Its name in snapshots, histories and `--json`."""
    form: Literal["plain", "time", "position"] = "plain"
    """What it is in the JSON: the value itself, RFC 3339 made from milliseconds since 1970, or a position."""
    is_compared: bool = True
    """Whether a history shows that it changed. Versions and times change with every event, and damage is told by its event."""
    is_always_there: bool = False
    """Whether the JSON has it where it is empty, as `null`. A newer field is left out there, so that old snapshots stay good."""
    empty: Any = None
    """What it is where nobody set it."""


def _first(name: str) -> Field:
    return Field(name, name, is_always_there=True)


def _first_time(name: str) -> Field:
    return Field(f"{name}_ms", name, "time", is_compared=False, is_always_there=True)


_BY_HAND: Final = (
    Field("id", "id", is_compared=False, is_always_there=True),
    _first("description"),
    _first("state"),
    _first("assigned_to"),
    _first_time("created_at"),
    _first_time("updated_at"),
    _first_time("started_at"),
    _first_time("completed_at"),
    _first("result"),
    _first("parent_id"),
    _first("tags"),
    _first("alias"),
    Field("version", "version", is_compared=False, is_always_there=True),
    Field("at", "position", "position", is_compared=False, is_always_there=True),
    Field("damaged_at", "damaged_at", "position", is_compared=False),
    Field("created_number", "created_number", is_compared=False),
    Field("asked_at_ms", "asked_at", "time", is_compared=False),
)
"""The fields that do not follow from `Task`, in the order of their JSON."""

_EMPTY: Final[Mapping[str, Any]] = dict(
    zip(Task.__struct_fields__[-len(Task.__struct_defaults__) :], Task.__struct_defaults__, strict=True)
)
_KNOWN: Final = frozenset(field.attribute for field in _BY_HAND)


def _newer(attribute: str) -> Field:
    name = attribute.removesuffix("_ms")
    return Field(attribute, name, "plain" if name == attribute else "time", empty=_EMPTY[attribute])


FIELDS: Final = (*_BY_HAND, *(_newer(attribute) for attribute in Task.__struct_fields__ if attribute not in _KNOWN))
"""Every field, in the order of the JSON: those written down by hand, and then newer ones in the order of `Task`."""
TITLE: Final = "title"
FIELD_NAMES: Final = tuple(
    name for field in FIELDS for name in ((TITLE, field.name) if field.name == "description" else (field.name,))
)
"""What people are given of a task: its fields, and its title before the description that it is taken from."""


# --- evolving ----------------------------------------------------------------------------------------------------


def evolve(task: Task | None, recorded: RecordedEvent) -> Task | None:  # noqa: C901, PLR0911 - a call less is a tenth of a replay
    """The task after one more event; None if the event removes it, or if a flawed event should have created it.

    An event that no command can make marks the task as damaged and changes nothing else. SequenceGapError if the event's
    version is not the next one; MisplacedEventError if it needs a task and there is none.
    """
    if task is None:
        return _created(recorded)
    version, at, data = recorded.version, recorded.at, recorded.data
    if version != task.version + 1:
        raise SequenceGapError(f"version of task {task.id}", Position(at), expected=task.version + 1, found=version)
    task.version = version
    task.at = at
    if task.damaged_at is not None:
        return task
    # The most frequent facts are handled here. A few cheap checks show that nearly all of them are sound; only the rest take
    # the full check. One table for all facts makes a replay a tenth slower.
    is_plain = recorded.reason is None and recorded.actor in names
    if type(data) is TaskAssigned:
        agent = names.get(data.agent)
        if (not is_plain or agent is None or task.state not in _TAKES_ASSIGNED) and _is_damage(task, recorded):
            return task
        task.state = _ASSIGNED
        task.assigned_to = agent or data.agent
        task.started_at_ms = None
        task.updated_at_ms = number_of(at.partition("-")[0])
        return task
    if type(data) is TaskStarted:
        if (not is_plain or data.run is not None or task.state is not _TAKES_STARTED) and _is_damage(task, recorded):
            return task
        task.state = _RUNNING
        task.started_at_ms = task.updated_at_ms = number_of(at.partition("-")[0])
        return task
    if type(data) is TaskCompleted:
        result = data.result
        is_plain = is_plain and (
            result is None or (0 < len(result) <= TEXT_CHARS_SURE and "\0" not in result and not result.isspace())
        )
        if (not is_plain or task.state is not _TAKES_COMPLETED) and _is_damage(task, recorded):
            return task
        task.state = _COMPLETED
        task.result = result
        task.completed_at_ms = task.updated_at_ms = number_of(at.partition("-")[0])
        return task
    if _is_damage(task, recorded):
        return task
    if type(data) is TaskRemoved:
        return None
    task.updated_at_ms = ms = ms_of(at)
    _EFFECTS[type(data)](task, data, ms)
    return task


def evolve_known(task: Task | None, recorded: RecordedEvent) -> Task | None:
    """As `evolve`, for a caller that knows that the task does not exist if it is None: an event that needs one changes nothing."""
    try:
        return evolve(task, recorded)
    except MisplacedEventError:
        return None


def _is_damage(task: Task, recorded: RecordedEvent) -> bool:
    """Whether no command can make this event of the task, after the full check. If so, mark the task as damaged."""
    if flaw_of(task, recorded) is None:
        return False
    task.damaged_at = recorded.at
    return True


def fold(events: Iterable[RecordedEvent], task: Task | None = None, *, after_version: int | None = None) -> Task | None:
    """The task after all of its `events`, oldest first. SequenceGapError, MisplacedEventError.

    `after_version` is the version that they follow. Give it for a task that was removed; by default it is that of `task`.
    """
    if after_version is None:
        after_version = 0 if task is None else task.version
    for recorded in in_order(events, after_version=after_version):
        task = evolve(task, recorded)
    return task


def in_order(events: Iterable[RecordedEvent], *, after_version: int = 0) -> Iterator[RecordedEvent]:
    """The events of one task as they come; SequenceGapError if a version is missing, also across a removal."""
    for expected, recorded in enumerate(events, after_version + 1):
        if recorded.version != expected:
            raise SequenceGapError(
                f"version of task {recorded.task}", recorded.position, expected=expected, found=recorded.version
            )
        yield recorded


def _created(recorded: RecordedEvent) -> Task | None:
    data, at = recorded.data, recorded.at
    if type(data) is not TaskCreated:
        if type(data) is TaskAdopted:
            return _adopted(recorded, data)
        raise MisplacedEventError(recorded.position, recorded.type, recorded.task, problem="does not exist there")
    description, tags = data.description, tag_sets.get(data.tags)
    # Cheap checks first, as in `evolve`.
    is_plain = (
        tags is not None
        and recorded.actor in names
        and recorded.reason is None
        and data.parent_id is None
        and data.alias is None
        and 0 < len(description) <= TEXT_CHARS_SURE
        and "\0" not in description
        and not description.isspace()
        and (recorded.version == 1 or is_task_id(recorded.task))
    )
    if not is_plain and flaw_in(recorded) is not None:
        return None
    milliseconds, _, sequence = at.partition("-")
    ms = number_of(milliseconds)
    return Task(
        id=recorded.task,
        description=description,
        state=_PENDING,
        created_at_ms=ms,
        updated_at_ms=ms,
        version=recorded.version,
        at=at,
        parent_id=data.parent_id,
        tags=data.tags if tags is None else tags,
        alias=data.alias,
        created_number=int(sequence),
    )


def _adopted(recorded: RecordedEvent, data: TaskAdopted) -> Task | None:
    """The task and its times as in its old record, which may hold a state that no command leads to."""
    if flaw_in(recorded) is not None:
        return None
    return Task(
        id=recorded.task,
        description=data.description,
        state=data.state,
        created_at_ms=parse_rfc3339(data.created_at),
        updated_at_ms=parse_rfc3339(data.updated_at),
        version=recorded.version,
        at=recorded.at,
        assigned_to=data.assigned_to,
        started_at_ms=None if data.started_at is None else parse_rfc3339(data.started_at),
        completed_at_ms=None if data.completed_at is None else parse_rfc3339(data.completed_at),
        result=data.result,
        parent_id=data.parent_id,
        tags=data.tags,
        alias=data.alias,
        created_number=seq_of(recorded.at),
    )


def _finish(task: Task, state: State, result: str | None, ms: int) -> None:
    task.state = state
    task.result = result
    task.completed_at_ms = ms


def _fail(task: Task, data: TaskFailed, ms: int) -> None:
    _finish(task, _FAILED, data.error, ms)


def _cancel(task: Task, data: TaskCancelled, ms: int) -> None:
    _finish(task, _CANCELLED, data.reason, ms)


def _start_over(task: Task, _data: TaskRequeued | TaskReopened, _ms: int) -> None:
    task.state = _PENDING
    task.assigned_to = None
    task.started_at_ms = None
    task.completed_at_ms = None
    task.result = None


def _describe(task: Task, data: TaskDescribed, _ms: int) -> None:
    task.description = data.description


def _tag(task: Task, data: TaskTagged, _ms: int) -> None:
    task.tags = tuple(sorted((set(task.tags) - set(data.removed)) | set(data.added)))


def _move(task: Task, data: TaskMoved, _ms: int) -> None:
    task.parent_id = data.parent_id


def _prioritise(task: Task, data: TaskPrioritised, _ms: int) -> None:
    task.priority = data.priority


def _schedule(task: Task, data: TaskScheduled, _ms: int) -> None:
    task.due_ms = None if data.due is None else parse_rfc3339(data.due)
    task.not_before_ms = None if data.not_before is None else parse_rfc3339(data.not_before)


def _link(task: Task, data: TaskLinked, _ms: int) -> None:
    setattr(task, data.kind, tuple(sorted({*task.links(data.kind), data.to})))


def _unlink(task: Task, data: TaskUnlinked, _ms: int) -> None:
    setattr(task, data.kind, tuple(to for to in task.links(data.kind) if to != data.to))


def _ask(task: Task, data: TaskAsked, ms: int) -> None:
    task.question, task.choices, task.answer = data.question, data.choices, None
    task.asked_at_ms = ms


def _answer(task: Task, data: TaskAnswered, _ms: int) -> None:
    task.answer = data.text


def _note(_task: Task, _data: TaskNoted, _ms: int) -> None:
    """A note changes nothing but version and time."""


_EFFECTS: Final[dict[type[Event], Callable[[Task, Any, int], None]]] = {
    TaskFailed: _fail,
    TaskCancelled: _cancel,
    TaskRequeued: _start_over,
    TaskReopened: _start_over,
    TaskDescribed: _describe,
    TaskTagged: _tag,
    TaskMoved: _move,
    TaskNoted: _note,
    TaskPrioritised: _prioritise,
    TaskScheduled: _schedule,
    TaskLinked: _link,
    TaskUnlinked: _unlink,
    TaskAsked: _ask,
    TaskAnswered: _answer,
}
"""What each other fact does to an existing task. The last argument is the position's time in milliseconds."""
