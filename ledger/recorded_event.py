"""An event with its place: what a writer hands in (`NewEvent`) and what the ledger gives back (`RecordedEvent`).

On the wire both are one JSON object, the envelope of DESIGN 4. The append script adds `prev`. The position is not in the
JSON: it is the stream entry's id.
"""

# No `from __future__ import annotations` here: msgspec would have to compile each annotation from its text, for each class.

from _thread import allocate_lock
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeGuard, Union, cast

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from ledger.errors import EventDecodingError, NewerSchemaError, UnknownEventError
from ledger.events import EVENT_CLASSES, TOWN_EVENT_CLASSES, Event, TaskStarted, TownEvent, Unfit
from ledger.identity import TOWN_ID, are_task_ids, is_task_id
from ledger.position import BEGINNING, POSITION_PATTERN, Position, ms_of
from ledger.reply_shapes import split_ids
from ledger.run_mark import RunMark
from ledger.times import TIME_MS_MAX, format_ms, to_ms

FIELD: Final = b"event"
"""The one field of a stream entry; its value is the JSON."""

StreamEntry = tuple[bytes, list[bytes]]
"""A stream entry as Redis sends it: its id, and a flat list of field names and values."""


class NewEvent(Struct, frozen=True, kw_only=True):
    """A fact as its writer hands it in, with its task, the version it makes, the actor and the command's id."""

    task: str
    version: int
    actor: str
    command: str
    data: Event
    reason: str | None = None
    cause: Position | None = None
    occurred_at: datetime | None = None


class RecordedEvent(Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """A fact with its place in the ledger.

    `at` is its position as text: a `Position` for each of a million events would make a fold a tenth slower. `task` is
    `identity.TOWN_ID` if the fact is the town's own; the town has versions as a task has. `prev` is the position of the same
    task's previous event, None for its first. `reason` says why in words, `cause` is the position of the event that led to
    this one, `occurred_at` is set if the fact is older than its record.
    """

    task: str
    version: int
    actor: str
    command: str
    schema: int
    data: Event
    prev: str | None = None
    reason: str | None = None
    cause: Annotated[str, Meta(pattern=POSITION_PATTERN)] | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None
    at: str = str(BEGINNING)

    @property
    def position(self) -> Position:
        return Position(self.at)

    @property
    def type(self) -> str:
        """Its name on the wire."""
        return self.data.said if type(self.data) is Unfit else self.data.type


class _Envelope(Struct, frozen=True, omit_defaults=True):
    """The JSON a writer sends, with its fields in the order that reads best in `redis-cli`."""

    type: str
    schema: int
    task: str
    version: int
    actor: str
    command: str
    data: Event
    reason: str | None = None
    cause: str | None = None
    occurred_at: str | None = None


def _recorded_class(event_class: type[Event]) -> type[RecordedEvent]:
    """A RecordedEvent for one kind of fact. `type` selects it, so envelope and data decode in one pass, twice as fast as two."""
    recorded = msgspec.defstruct(
        f"Recorded{event_class.__name__}",
        [("data", event_class), ("schema", Literal[event_class.schema])],
        bases=(RecordedEvent,),
        tag=event_class.type,
        frozen=True,
        kw_only=True,
        gc=False,
    )
    return cast("type[RecordedEvent]", recorded)


class _RecordedStart(RecordedEvent, frozen=True, kw_only=True, tag="task.started", gc=False):
    """A `task.started` of either schema, lifted while it is decoded.

    Older towns hold about one of schema 1 per task, and one event that needs `_lift` makes its whole batch decode slowly.
    """

    data: TaskStarted
    schema: Literal[1, 2]

    def __post_init__(self) -> None:
        if self.schema == 1:
            run = None if self.reason is None else RunMark.parse(self.reason)
            force_setattr(self, "schema", TaskStarted.schema)
            if run is not self.data.run:
                force_setattr(self, "data", TaskStarted(run))


_ALL_CLASSES: Final = (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)
_SCHEMAS: Final = {event_class.type: event_class.schema for event_class in _ALL_CLASSES}
# Deeply nested JSON ends the decoder with a RecursionError.
_NOT_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


_making = allocate_lock()


@cache
def _decoder() -> "msgspec.json.Decoder[RecordedEvent]":
    """The one decoder, made when the first event is read: making it takes a third as long as the interpreter's start.

    Only one thread makes it. msgspec prepares each class while other threads may run, and a second thread that uses a class
    before it is ready crashes the process.
    """
    with _making:
        return _make_decoder()


@cache
def _make_decoder() -> "msgspec.json.Decoder[RecordedEvent]":
    any_recorded: Any = Union[  # noqa: UP007 - made at run time
        tuple(_RecordedStart if each is TaskStarted else _recorded_class(each) for each in _ALL_CLASSES)
    ]
    return msgspec.json.Decoder(any_recorded)


# `cause` is a Position, which is text.
_encoder = msgspec.json.Encoder(enc_hook=str)


def encode_event(event: NewEvent) -> bytes:
    """The JSON of an event, without `prev`."""
    return _encoder.encode(
        _Envelope(
            event.data.type,
            event.data.schema,
            event.task,
            event.version,
            event.actor,
            event.command,
            event.data,
            event.reason,
            event.cause,
            None if event.occurred_at is None else format_ms(to_ms(event.occurred_at)),
        )
    )


def without_prev(payload: bytes) -> bytes:
    """The JSON of a stored event as `encode_event` made it, before the append script added `prev`. Pure."""
    return b"{" + payload.partition(b",")[2]


def record(event: NewEvent, position: Position) -> RecordedEvent:
    """The event as the ledger gives it back from `position`, without `prev`."""
    return RecordedEvent(
        task=event.task,
        version=event.version,
        actor=event.actor,
        command=event.command,
        schema=event.data.schema,
        data=event.data,
        reason=event.reason,
        cause=event.cause,
        occurred_at=event.occurred_at,
        at=str(position),
    )


def decode_events(entries: Sequence[StreamEntry]) -> list[RecordedEvent]:
    """The events in stream entries, in their order. An event that does not fit its type has `Unfit` data.

    EventDecodingError for the first entry that is not an event; UnknownEventError and NewerSchemaError as in `decode_event`.
    """
    decode = _decoder().decode
    try:
        events = [decode(payload) for _, (name, payload) in entries if name == FIELD]
    except (TypeError, ValueError, RecursionError):
        events = []
    positions = split_ids(entries)
    if (
        # One of them has an older schema, does not fit its type, or is not an event.
        len(events) < len(entries)
        or positions is None
        # Checking a task's first event is enough: later ones cannot come without it. The town's own id is not a task's, so
        # its first event is read by itself.
        or not are_task_ids([recorded.task for recorded in events if recorded.version == 1])
        # Positions only rise, or only fall, so both ends are enough.
        or any(ms_of(positions[index]) > TIME_MS_MAX for index in (0, -1) if positions)
    ):
        # Read one by one, to find out which.
        return [read_event(position, fields) for position, fields in entries]
    for recorded, position in zip(events, positions, strict=True):
        force_setattr(recorded, "at", position)
    return events


def decode_event(position: bytes, fields: list[bytes]) -> RecordedEvent:
    """The event in one stream entry; `fields` is the flat list of names and values that Redis sends.

    EventDecodingError if it is not an event; UnknownEventError or NewerSchemaError if a newer program wrote it.
    """
    place = Position(position, "ascii")
    if len(fields) != 2 or fields[0] != FIELD:
        raise EventDecodingError(place, "is not an event: it must have the one field `event`")
    payload = fields[1]
    try:
        recorded = _decoder().decode(payload)
    except _NOT_JSON as error:
        recorded = _lift(place, payload, error)
    force_setattr(recorded, "at", str(place))
    return recorded


def read_event(position: bytes, fields: list[bytes]) -> RecordedEvent:
    """As `decode_event`, but an event that does not fit its type has `Unfit` data, if its task and version can be read."""
    place = Position(position, "ascii")
    try:
        recorded = decode_event(position, fields)
    except EventDecodingError as error:
        raw = _envelope_of(fields)
        if raw is None:
            raise
        return _unfit(place, raw, f"it {error.problem}")
    flaw = (
        "its position lies after the year 9999"
        if place.ms > TIME_MS_MAX
        else None
        if is_task_id(recorded.task) or (recorded.task == TOWN_ID and isinstance(recorded.data, TownEvent))
        else "the task's id is no UUID"
    )
    if flaw is None:
        return recorded
    raw = _envelope_of(fields)
    assert raw is not None, "what was decoded has an envelope"
    return _unfit(place, raw, flaw)


def _envelope_of(fields: list[bytes]) -> dict[str, Any] | None:
    """The JSON of an entry, if its type and schema are known and its task and version can be read; else None."""
    try:
        raw = msgspec.json.decode(fields[1]) if len(fields) == 2 and fields[0] == FIELD else None
    except _NOT_JSON:
        return None
    if not isinstance(raw, dict):
        return None
    event_type, schema, task, version = (raw.get(name) for name in ("type", "schema", "task", "version"))
    if not isinstance(event_type, str) or not _is_number(schema) or not 1 <= schema <= _SCHEMAS.get(event_type, 0):
        return None
    return raw if isinstance(task, str) and _is_number(version) else None


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _unfit(place: Position, raw: dict[str, Any], flaw: str) -> RecordedEvent:
    said = {name: raw.get(name) for name in ("actor", "command", "prev", "reason", "cause")}
    texts = {name: value if isinstance(value, str) else None for name, value in said.items()}
    return RecordedEvent(
        task=raw["task"],
        version=raw["version"],
        actor=texts["actor"] or "",
        command=texts["command"] or "",
        schema=raw["schema"],
        data=Unfit(raw["type"], raw.get("data"), flaw),
        prev=texts["prev"],
        reason=texts["reason"],
        cause=texts["cause"],
        at=str(place),
    )


def _lift(position: Position, payload: bytes, error: Exception) -> RecordedEvent:
    """Decode a payload that is not of the newest schema, or not an event at all. Slow."""
    try:
        raw = msgspec.json.decode(payload)
    except _NOT_JSON as not_json:
        from ledger.json_problems import json_problem  # noqa: PLC0415 - for a message only

        raise EventDecodingError(position, f"is not an event: {json_problem(payload, not_json)}") from not_json
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or not isinstance(raw.get("schema"), int):
        raise EventDecodingError(position, "is not an event: it has no `type` and `schema`") from error
    event_type, schema = raw["type"], raw["schema"]
    newest = _SCHEMAS.get(event_type)
    if newest is None:
        raise UnknownEventError(position, event_type) from error
    if schema > newest:
        raise NewerSchemaError(position, event_type, schema=schema, schema_known=newest) from error
    if schema == newest or not isinstance(raw.get("data"), dict):
        raise EventDecodingError(position, f"is not a {event_type}: {error}") from error
    from ledger.upcasters import upcast  # noqa: PLC0415 - few events are of an older schema

    raw["data"] = upcast(raw["data"], event_type=event_type, schema=schema, newest=newest, position=position)
    raw["schema"] = newest
    try:
        # Through JSON once more: `msgspec.convert` takes ten times as long for such a large union.
        return _decoder().decode(msgspec.json.encode(raw))
    except msgspec.ValidationError as mismatch:
        raise EventDecodingError(position, f"is not a {event_type}: {mismatch}") from mismatch
