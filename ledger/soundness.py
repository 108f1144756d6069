"""Finds events that no command can make: checks the events that are read against the rules for commands (DESIGN 4).

The rules are those of `values` and `transitions`. A flaw says in words which rule an event breaks. A circle of parents
shows only to a reader that has all tasks (`projections.checking.audit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ledger.errors import InvalidValueError
from ledger.events import (
    Event,
    EventAnnotated,
    TaskAdopted,
    TaskAnswered,
    TaskCreated,
    TaskLinked,
    TaskMoved,
    TaskScheduled,
    TaskTagged,
    TaskUnlinked,
    TownEvent,
    TownForked,
    TownRecovered,
    Unfit,
)
from ledger.identity import TOWN_ID, is_task_id
from ledger.keys import check_town_name
from ledger.position import order_of, seq_of
from ledger.times import TIME_MS_MAX, format_ms, parse_rfc3339
from ledger.transitions import CREATIONS, STATES
from ledger.values import TEXT_BYTES_MAX, value_flaw

if TYPE_CHECKING:
    from ledger.recorded_event import RecordedEvent
    from ledger.task import Task

Value = TypeVar("Value")
_KEPT_MAX: Final = 4_096
_AGENTS: Final = frozenset({"agent", "assigned_to"})
_ADOPTED_TIMES: Final = ("created_at", "updated_at", "started_at", "completed_at")

TEXT_CHARS_SURE: Final = TEXT_BYTES_MAX // 4
"""A text of up to this many characters is short enough, whichever characters they are."""

names: Final[dict[str, str]] = {}
"""Names of actors and agents that were checked and are sound. Few agents have all the tasks, so they share one object each."""
tag_sets: Final[dict[tuple[str, ...], tuple[str, ...]]] = {}
"""The same for tags: many tasks have the same tags."""


def flaw_of(task: Task | None, recorded: RecordedEvent) -> str | None:
    """What is wrong with an event, given the task right before it (None: it does not exist); None if a command can make it."""
    # The id of a task that exists was checked before.
    flaw = flaw_in(recorded) if task is None else _flaw_of_values(recorded)
    if flaw is not None:
        return flaw
    kind = type(recorded.data)
    if task is None:
        return (
            None
            if kind in CREATIONS or isinstance(recorded.data, TownEvent)
            else f"it says {recorded.type} of task {recorded.task}, which does not exist there"
        )
    if task.state in STATES[kind]:
        if kind is TaskAnswered and not task.has_open_question:
            return f"it answers task {recorded.task}, which waits for no answer there"
        return None
    if kind in CREATIONS:
        return f"it says {recorded.type} of task {recorded.task}, which exists there already"
    return f"it says {recorded.type} of task {recorded.task}, which is {task.state} there"


def flaw_in(recorded: RecordedEvent) -> str | None:
    """What is wrong with an event by itself, whatever the task; None if its values are as commands make them."""
    if isinstance(recorded.data, TownEvent):
        if recorded.task != TOWN_ID:
            return f"it is a fact of the town, and stands among those of task {recorded.task}"
        return _flaw_of_values(recorded) or _flaw_of_places(recorded.at, recorded.data)
    if type(recorded.data) is not Unfit and not is_task_id(recorded.task):
        return "the task's id is no UUID"
    return _flaw_of_values(recorded)


def _flaw_of_values(recorded: RecordedEvent) -> str | None:
    data = recorded.data
    if type(data) is Unfit:
        return data.flaw
    return _flaw_of_envelope(recorded) or _flaw_of_data(recorded.task, data)


def _flaw_of_envelope(recorded: RecordedEvent) -> str | None:
    actor = recorded.actor
    if actor not in names:
        flaw = value_flaw("actor", actor)
        if flaw is not None:
            return flaw
        _keep(names, actor)
    if recorded.reason is not None:
        flaw = value_flaw("reason", recorded.reason)
        if flaw is not None:
            return flaw
    return None


def _flaw_of_data(task_id: str, data: Event) -> str | None:
    for field in data.__struct_fields__:
        value = getattr(data, field)
        if value is None or (field in _AGENTS and value in names) or (field == "tags" and value in tag_sets):
            continue
        flaw = value_flaw(field, value)
        if flaw is not None:
            return flaw
        if field in _AGENTS:
            _keep(names, value)
        elif field == "tags":
            _keep(tag_sets, value)
    return _flaw_of_references(task_id, data) or _flaw_of_times(data)


def _flaw_of_references(task_id: str, data: Event) -> str | None:
    """What is wrong with the other task that a fact names, or with its tags."""
    if isinstance(data, TaskCreated | TaskMoved | TaskAdopted) and data.parent_id is not None:
        if not is_task_id(data.parent_id):
            return "the parent's id is no UUID"
        if data.parent_id == task_id:
            return "it puts the task below itself"
    if isinstance(data, TaskLinked | TaskUnlinked):
        if not is_task_id(data.to):
            return "the id of the linked task is no UUID"
        if data.to == task_id:
            return "it links the task to itself"
    if isinstance(data, TaskTagged) and set(data.added) & set(data.removed):
        return "a tag is both added and removed"
    return None


def _flaw_of_schedule(data: TaskScheduled) -> str | None:
    for field in data.__struct_fields__:
        time = getattr(data, field)
        try:
            if time is not None and format_ms(parse_rfc3339(time)) != time:
                return f"the time {field} is not written in UTC with milliseconds"
        except (ValueError, OverflowError):
            return f"{field} is no time"
    return None


def _flaw_of_places(at: str, data: TownEvent) -> str | None:
    """What is wrong with the town and the position that a fact of the town names; `at` is its own position."""
    if isinstance(data, EventAnnotated) and not 0 < seq_of(data.position) < seq_of(at):
        return "it annotates an event that does not come before it"
    if isinstance(data, TownRecovered) and not (
        order_of(data.first)[1] > 0 and order_of(data.first) <= order_of(data.last)
    ):
        return "the events that it says were lost do not begin before they end"
    if isinstance(data, TownRecovered) and not 0 <= data.appended <= data.lost:
        return "it says that more events follow again than were lost"
    if isinstance(data, TownForked):
        try:
            check_town_name(data.source)
        except InvalidValueError as error:
            return f"the {error.what} {error.problem}"
        if seq_of(data.position) != seq_of(at) - 1 or order_of(data.position) > order_of(at):
            return "it names another event than the one right before it as the last of its source"
    return None


def _flaw_of_times(data: Event) -> str | None:
    if isinstance(data, TaskScheduled):
        return _flaw_of_schedule(data)
    for field in _ADOPTED_TIMES if isinstance(data, TaskAdopted) else ():
        time = getattr(data, field)
        try:
            if time is not None and parse_rfc3339(time) > TIME_MS_MAX:
                return f"it is not a {data.type}: {field} lies after the year 9999"
        except (ValueError, OverflowError):
            return f"it is not a {data.type}: {field} is no time"
    return None


def _keep(kept: dict[Value, Value], value: Value) -> None:
    """Remember a sound value. Only a bounded number is kept."""
    if len(kept) >= _KEPT_MAX:
        kept.clear()
    kept[value] = value
