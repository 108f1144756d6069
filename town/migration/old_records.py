"""Tasks as Tinytown kept them before the ledger: which key is what, and what a record says. Pure.

`docs/reference/migrate.md` has the formats and the mapping. Only what is certainly a task is taken for one. A record
that cannot be read is reported with the reason; a value beyond our limits is made to fit, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger import (
    TEXT_BYTES_MAX,
    InvalidValueError,
    OldRecord,
    State,
    TaskAdopted,
    check_name,
    check_tag,
    format_ms,
    json_problem,
    parse_rfc3339,
    to_ms,
)
from projections import has_position

NO_DESCRIPTION: Final = "(no description)"
"""Replaces an empty description, because a task must have one."""

BARE_BACKLOG: Final = "tt:backlog"
"""The key of the backlog from before towns were isolated."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAN_TAG: Final = "plan:"
_STATES: Final[Mapping[str, State]] = {state.value: state for state in State} | {"in_flight": State.RUNNING}
_QUOTED_CHARS_MAX: Final = 64
_REPLACEMENT: Final = "\ufffd"
_FIRST_MS: Final = to_ms(datetime.min.replace(tzinfo=UTC))
_LAST_MS: Final = to_ms(datetime.max.replace(tzinfo=UTC))


class Form(Enum):
    """Where a task's record lies, newest form first. The survey stores the value to save memory."""

    TOWN = 0
    BARE = 1
    OLDEST = 2

    def prefix(self, town: str, kind: KeyKind) -> str:
        """What the keys of this form and kind begin with; the rest is an id."""
        return {Form.TOWN: f"tt:{town}", Form.BARE: "tt", Form.OLDEST: "mt"}[self] + f":{kind.value}:"


class KeyKind(Enum):
    """What an old key of Tinytown's holds: the kinds that a migration reads."""

    TASK = "task"
    AGENT = "agent"
    BACKLOG = "backlog"


class OldKey(Struct, frozen=True, gc=False):
    """What the name of a key says: its kind, the id at its end, and its form. `id` is empty if it is not a UUID."""

    kind: KeyKind
    id: str
    form: Form


class OldKeys:
    """Recognises the old keys of one town, and those without a town, among all others."""

    def __init__(self, town: str) -> None:
        self._prefixes: list[tuple[str, KeyKind, Form]] = [
            (form.prefix(town, kind), kind, form) for kind in (KeyKind.TASK, KeyKind.AGENT) for form in Form
        ]
        self._backlogs = {f"tt:{town}:backlog": Form.TOWN, BARE_BACKLOG: Form.BARE}

    def kind_of(self, key: str) -> OldKey | None:
        """What `key` is by its name; None if it is neither, or another town's.

        A key without a town has a UUID at its end, or it is not ours: `tt:task:backlog` belongs to a town, and is not a
        task. A key among the town's own tasks counts even without a UUID, because our snapshots have the same place.
        """
        for prefix, kind, form in self._prefixes:
            if key.startswith(prefix):
                id_ = key[len(prefix) :]
                if _UUID.fullmatch(id_):
                    return OldKey(kind, id_, form)
                is_in_our_place = kind is KeyKind.TASK and form is Form.TOWN
                return OldKey(kind, "", form) if is_in_our_place else None
        form_of_list = self._backlogs.get(key)
        return None if form_of_list is None else OldKey(KeyKind.BACKLOG, "", form_of_list)

    def is_task(self, key: str) -> bool:
        """Whether the key is a task's, by its name."""
        old = self.kind_of(key)
        return old is not None and old.kind is KeyKind.TASK and bool(old.id)

    def has_capitals(self, key: str) -> bool:
        """Whether the key would be a task's if the UUID at its end were in lower case."""
        head, separator, id_ = key.rpartition(":")
        return id_ != id_.lower() and self.is_task(f"{head}{separator}{id_.lower()}")


class OldTask(Struct, frozen=True, kw_only=True, gc=False):
    """What a record says about a task.

    Times are milliseconds since 1970 UTC, `assigned_to` is the agent's UUID or name. `alias` comes from the first tag
    `plan:<alias>`; that tag is `alias_tag` and not among `tags`. `alias_tag` is None if it is not a valid tag.
    `irregularities` says in words what is wrong for a task of Tinytown's, or did not fit.
    """

    id: str
    description: str
    state: State
    created_ms: int
    updated_ms: int
    assigned_to: str | None
    started_ms: int | None
    completed_ms: int | None
    result: str | None
    parent_id: str | None
    tags: tuple[str, ...]
    alias: str | None
    alias_tag: str | None
    irregularities: tuple[str, ...]


def read_record(record: OldRecord, task_id: str) -> OldTask:
    """What the record of this task says. ValueError says why it is not a task's record."""
    fields = _fields(record)
    if record.type == "string" and has_position(fields):
        raise ValueError("it is a snapshot of a ledger, not a record from before")
    named = _required(fields, "id")
    if named.lower() != task_id:
        raise ValueError(f"it says that it is task {named!r}")
    description = _required(fields, "description")
    state = _STATES.get(_required(fields, "state").lower())
    if state is None:
        raise ValueError(f"its state {fields['state']!r} is not one of {', '.join(_STATES)}")
    irregularities: list[str] = []
    created_ms, updated_ms = _created_and_updated(fields, irregularities)
    tags, alias, alias_tag = _tags(fields.get("tags"), irregularities)
    old = OldTask(
        id=task_id,
        description=_fitted(description, "description", irregularities) or NO_DESCRIPTION,
        state=state,
        created_ms=created_ms,
        updated_ms=updated_ms,
        assigned_to=_agent(fields.get("assigned_to"), irregularities),
        started_ms=_time(fields, "started_at", irregularities),
        completed_ms=_time(fields, "completed_at", irregularities),
        result=_result(fields.get("result"), irregularities),
        parent_id=_parent(fields.get("parent_id"), irregularities),
        tags=tags,
        alias=alias,
        alias_tag=alias_tag,
        irregularities=(),
    )
    irregularities += _illegalities(old)
    return msgspec.structs.replace(old, irregularities=tuple(irregularities)) if irregularities else old


def read_agent_name(record: OldRecord) -> str | None:
    """The name in an agent's record; None without a valid name."""
    try:
        return check_name(_required(_fields(record), "name"), "agent name")
    except (ValueError, InvalidValueError):
        return None


def newest(tasks: Sequence[tuple[OldRecord, OldTask]]) -> int:
    """Which of several records of one task to use: the one with the newest `updated_at`, the first of several such."""
    return max(range(len(tasks)), key=lambda index: (tasks[index][1].updated_ms, -index))


def adopted(
    old: OldTask,
    records: tuple[OldRecord, ...],
    *,
    agent_name: Callable[[str], str],
    has_alias: bool,
    has_parent: bool,
) -> TaskAdopted:
    """The event that takes the task into the ledger. `agent_name` gives the name for an agent's UUID, or the UUID itself.

    Without `has_alias` the plan's tag stays a tag; without `has_parent` the task is at the top.
    """
    tags = old.tags
    if not has_alias and old.alias_tag is not None:
        tags = tuple(sorted({*tags, old.alias_tag}))
    return TaskAdopted(
        records=records,
        description=old.description,
        state=old.state,
        created_at=format_ms(old.created_ms),
        updated_at=format_ms(old.updated_ms),
        tags=tags,
        assigned_to=None if old.assigned_to is None else agent_name(old.assigned_to),
        started_at=None if old.started_ms is None else format_ms(old.started_ms),
        completed_at=None if old.completed_ms is None else format_ms(old.completed_ms),
        result=old.result,
        parent_id=old.parent_id if has_parent else None,
        alias=old.alias if has_alias else None,
    )


# --- one field each ----------------------------------------------------------------------------------------------


def _fields(record: OldRecord) -> Mapping[str, Any]:
    """The record's fields by name.

    In a hash they are text: empty text means no value, except for the description; tags are JSON.
    """
    if isinstance(record.value, dict):
        if "" not in record.value.values():
            return record.value
        return {name: value for name, value in record.value.items() if value or name == "description"}
    try:
        fields = msgspec.json.decode(record.value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {json_problem(record.value, error)}") from error
    if not isinstance(fields, dict):
        raise ValueError("its JSON is not an object")  # noqa: TRY004 - one kind of error for all that is no record
    return fields


def _required(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise ValueError(f"it has no {name}")
    if not isinstance(value, str):
        raise ValueError(f"its {name} is not text")  # noqa: TRY004 - as above
    return value


def _created_and_updated(fields: Mapping[str, Any], irregularities: list[str]) -> tuple[int, int]:
    """Both times; one replaces the other if that is missing. ValueError if both are missing."""
    created, updated = _time(fields, "created_at", irregularities), _time(fields, "updated_at", irregularities)
    if created is not None and updated is not None:
        return created, updated
    if created is not None:
        irregularities.append("it has no updated_at; created_at stands for it")
        return created, created
    if updated is not None:
        irregularities.append("it has no created_at; updated_at stands for it")
        return updated, updated
    raise ValueError(_why_no_time(fields))


def _why_no_time(fields: Mapping[str, Any]) -> str:
    for name in ("created_at", "updated_at"):
        if fields.get(name) is not None:
            return f"its {name} is not a time with a zone: {str(fields[name])[:_QUOTED_CHARS_MAX]!r}"
    return "it has no created_at"


def _time(fields: Mapping[str, Any], name: str, irregularities: list[str]) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        # RFC 3339 allows a `t` and a `z` as well.
        ms = parse_rfc3339(value.upper())
    except (AttributeError, TypeError, ValueError):
        ms = None
    # A time at the very end of the calendar may be beyond it in UTC.
    if ms is None or not _FIRST_MS <= ms <= _LAST_MS:
        irregularities.append(f"its {name} is not a time, and is left out")
        return None
    return ms


def _fitted(text: str, what: str, irregularities: list[str]) -> str:
    """The text, cut to fit; empty if it has only blanks."""
    if not text.strip():
        irregularities.append(f"its {what} is empty")
        return ""
    if "\0" in text:
        irregularities.append(f"its {what} held NUL characters, which are replaced")
        text = text.replace("\0", _REPLACEMENT)
    if len(text) * 4 > TEXT_BYTES_MAX and len(content := text.encode()) > TEXT_BYTES_MAX:
        irregularities.append(f"its {what} has {len(content):,} bytes, and is cut to {TEXT_BYTES_MAX:,}")
        text = content[:TEXT_BYTES_MAX].decode(errors="ignore")
    return text


def _result(value: object, irregularities: list[str]) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        irregularities.append("its result is not text, and is left out")
        return None
    return _fitted(value, "result", irregularities) or None


def _agent(value: object, irregularities: list[str]) -> str | None:
    if value is None or value == "":
        return None
    try:
        return check_name(value, "agent name")  # type: ignore[arg-type]  # what is no text is told
    except (AttributeError, InvalidValueError):
        irregularities.append("its assigned_to is not an agent, and is left out")
        return None


def _parent(value: object, irregularities: list[str]) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and _UUID.fullmatch(value.lower()):
        return value.lower()
    irregularities.append("its parent_id is not a task id, and is left out")
    return None


def _tags(value: object, irregularities: list[str]) -> tuple[tuple[str, ...], str | None, str | None]:
    """The valid tags, sorted, without the plan's tag; the alias from that tag, and the tag itself."""
    tags: set[str] = set()
    alias: str | None = None
    alias_tag: str | None = None
    left_out = 0
    for tag in _list_of_tags(value, irregularities):
        fitting = _fitting(check_tag, tag)
        if alias is None and isinstance(tag, str) and tag.startswith(_PLAN_TAG):
            alias = _fitting(lambda name: check_name(name, "alias"), tag.removeprefix(_PLAN_TAG))
            if alias is not None:
                alias_tag = fitting
                continue
        if fitting is None:
            left_out += 1
        else:
            tags.add(fitting)
    if left_out:
        irregularities.append(f"invalid tags are left out: {left_out}")
    return tuple(sorted(tags)), alias, alias_tag


def _list_of_tags(value: object, irregularities: list[str]) -> Sequence[object]:
    if value is None:
        return ()
    if isinstance(value, str):
        # In a hash they are a JSON array in a string.
        try:
            value = msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            value = None
    if isinstance(value, list):
        return value
    irregularities.append("its tags are not a list, and are left out")
    return ()


def _fitting(check: Callable[[str], str], value: object) -> str | None:
    try:
        return check(value)  # type: ignore[arg-type]  # what is no text is told
    except (AttributeError, InvalidValueError):
        return None


def _illegalities(old: OldTask) -> list[str]:
    """States that no command would have led to."""
    found: list[str] = []
    state, has_ended = old.state, old.state.is_terminal
    if state in (State.ASSIGNED, State.RUNNING) and old.assigned_to is None:
        found.append(f"it is {state}, without an agent")
    if state is State.PENDING and old.assigned_to is not None:
        found.append("it is pending, with an agent")
    if has_ended and old.completed_ms is None:
        found.append(f"it is {state}, without an end time")
    if not has_ended and old.completed_ms is not None:
        found.append(f"it is {state}, with an end time")
    return found
