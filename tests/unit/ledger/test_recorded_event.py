"""Bytes and events: what is stored, and that it reads back for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import msgspec
import pytest

from ledger import (
    EVENT_CLASSES,
    TOWN_EVENT_CLASSES,
    TOWN_ID,
    Event,
    EventAnnotated,
    EventDecodingError,
    LinkKind,
    NewEvent,
    OldRecord,
    Position,
    RecordedEvent,
    RunMark,
    Source,
    State,
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
    TownEvent,
    TownForked,
    TownRecovered,
    UnknownEventError,
    decode_event,
    record,
)
from ledger.recorded_event import encode_event
from tests.support.builders import TASK, an_event

CORPUS: Final = Path(__file__).parent / "corpus"
FILES: Final = sorted(CORPUS.glob("*.json"))

PLACE: Final = b"1795398503973-522001"
PREV: Final = "1795398503973-522000"
PARENT: Final = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
COMMAND: Final = "0198f3a2-5c1e-4b7a-9d3e-2f6a8b4c1d0e"

# What each file of the corpus says, as an event of today. A new schema adds a file and a line, and changes neither. A file is
# named for its type and schema, and for what it holds besides where there are several.
SAID: Final[dict[str, Event]] = {
    "task.created-1": TaskCreated(
        "Implement user authentication\nwith 🔑", ("auth", "type:feature"), PARENT, "bd-42", source=None
    ),
    "task.created-2": TaskCreated(
        "Implement user authentication\nwith 🔑", ("auth", "type:feature"), PARENT, "auth-api", Source.PLAN
    ),
    "task.adopted-1": TaskAdopted(
        records=(
            OldRecord(
                "tt:my-town:task:550e8400-e29b-41d4-a716-446655440000",
                "hash",
                {
                    "id": "550e8400-e29b-41d4-a716-446655440000",
                    "description": "Fix the bug 🐛",
                    "state": "in_flight",
                    "created_at": "2025-06-01T10:00:00.123456789+00:00",
                    "assigned_to": "c0ffee00-0000-4000-8000-000000000001",
                },
            ),
            OldRecord("mt:task:550e8400-e29b-41d4-a716-446655440000", "string", "{}"),
        ),
        description="Fix the bug 🐛",
        state=State.RUNNING,
        created_at="2025-06-01T10:00:00.123Z",
        updated_at="2025-06-02T11:30:00.000Z",
        tags=("bug",),
        assigned_to="worker-1",
        started_at="2025-06-02T11:30:00.000Z",
        alias="fix-bug",
    ),
    "town.forked-1": TownForked("my-town", "1795398503973-521999"),
    "town.recovered-1": TownRecovered("1795398503973-4791", "1795398504001-4812", 22, 21),
    "event.annotated-1": EventAnnotated("1795398503973-7", "Bob was away 🐛"),
    "task.assigned-1": TaskAssigned("worker-1"),
    "task.started-1": TaskStarted(),
    "task.completed-1": TaskCompleted("Fixed the bug"),
    "task.failed-1": TaskFailed("No access to the server"),
    "task.cancelled-1": TaskCancelled(None),
    "task.requeued-1": TaskRequeued(),
    "task.reopened-1": TaskReopened(),
    "task.described-1": TaskDescribed('Implement "sign in"'),
    "task.tagged-1": TaskTagged(("urgent",), ("type:feature",)),
    "task.moved-1": TaskMoved(None),
    "task.noted-1": TaskNoted("Half done"),
    "task.prioritised-1": TaskPrioritised(0),
    "task.scheduled-1": TaskScheduled("2026-12-01T17:00:00.000Z", "2026-11-27T08:30:00.000Z"),
    "task.scheduled-1-no-times": TaskScheduled(None, None),
    "task.linked-1": TaskLinked(LinkKind.NEEDS, PARENT),
    "task.linked-1-relates": TaskLinked(LinkKind.RELATES, PARENT),
    "task.linked-1-duplicates": TaskLinked(LinkKind.DUPLICATES, PARENT),
    "task.linked-1-discovered-from": TaskLinked(LinkKind.DISCOVERED_FROM, PARENT),
    "task.unlinked-1": TaskUnlinked(LinkKind.DISCOVERED_FROM, PARENT),
    "task.asked-1": TaskAsked("Which key: 🔑 or 🗝?", ("the new one", "the old one")),
    "task.asked-1-no-choices": TaskAsked("Who signs?\nWe have until Monday."),
    "task.answered-1": TaskAnswered("The new one 🔑"),
    "task.removed-1": TaskRemoved(),
    "task.started-2": TaskStarted(),
    "task.started-1-run": TaskStarted(RunMark("3f2a9c1e44d0", "build-3", 4711)),
    "task.started-2-run": TaskStarted(RunMark("3f2a9c1e44d0", "build-3", 4711)),
    "task.started-2-reason": TaskStarted(),
    "task.created-2-hand": TaskCreated("Write the docs", source=Source.HAND),
    "task.created-2-import": TaskCreated("Write the docs", alias="bd-7", source=Source.IMPORT),
    "task.created-2-no-source": TaskCreated("Write the docs", source=None),
    "task.completed-1-no-result": TaskCompleted(None),
    "task.failed-1-no-error": TaskFailed(None),
    "task.cancelled-1-reason": TaskCancelled("Not wanted"),
    "task.moved-1-parent": TaskMoved(PARENT),
    "task.adopted-1-string-first": TaskAdopted(
        records=(
            OldRecord(
                "tt:task:550e8400-e29b-41d4-a716-446655440000",
                "string",
                '{"id":"550e8400-e29b-41d4-a716-446655440000","description":"Fix the bug"}',
            ),
            OldRecord("tt:my-town:task:550e8400-e29b-41d4-a716-446655440000", "hash", {}),
        ),
        description="Fix the bug",
        state=State.COMPLETED,
        created_at="2025-06-01T10:00:00.000Z",
        updated_at="2025-06-02T11:30:00.000Z",
        completed_at="2025-06-02T11:30:00.000Z",
        result="Fixed",
        parent_id=PARENT,
    ),
}


def kind_of(file: Path) -> str:
    """Type and schema of what the file holds, as its name says."""
    return "-".join(file.stem.split("-")[:2])


def stored(payload: str | bytes) -> list[bytes]:
    return [b"event", payload.encode() if isinstance(payload, str) else payload]


def envelope(**fields: object) -> bytes:
    """A `task.noted` as stored; a field given as None is left out."""
    given: dict[str, object] = {
        "prev": PREV,
        "type": "task.noted",
        "schema": 1,
        "task": TASK,
        "version": 4,
        "actor": "worker-1",
        "command": COMMAND,
        "data": {"text": "x"},
    }
    return msgspec.json.encode({name: value for name, value in (given | fields).items() if value is not None})


# --- the corpus ------------------------------------------------------------------------------------------------


def test_corpus_has_every_type_and_schema() -> None:
    """Every schema of every event that a program ever wrote has its bytes in the corpus."""
    classes = (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)
    schemas = {f"{event.type}-{schema}" for event in classes for schema in range(1, event.schema + 1)}
    assert {kind_of(file) for file in FILES} == schemas
    assert schemas <= {file.stem for file in FILES} == set(SAID)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stored_payload_decodes_for_ever(file: Path) -> None:
    """What was once stored is read by every later version, whole, and says who did it (P9)."""
    payload = file.read_bytes()
    raw = msgspec.json.decode(payload)
    assert f"{raw['type']}-{raw['schema']}" == kind_of(file)
    event = decode_event(PLACE, stored(payload))
    assert event.data == SAID[file.stem]
    assert (event.type, event.schema, event.position) == (raw["type"], type(event.data).schema, PLACE.decode())
    subject = TOWN_ID if isinstance(event.data, TownEvent) else TASK
    assert (event.task, event.version, event.actor, event.command) == (subject, raw["version"], "worker-1", COMMAND)
    assert (event.prev, event.reason, event.cause) == (raw["prev"], raw.get("reason"), raw.get("cause"))
    occurred_at = raw.get("occurred_at")
    assert event.occurred_at == (None if occurred_at is None else datetime.fromisoformat(occurred_at))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_encoding_of_the_newest_schema_gives_the_stored_bytes(file: Path) -> None:
    """The bytes are a format that lasts: fields, their order and spelling stay as in the corpus."""
    payload = file.read_bytes()
    event = decode_event(PLACE, stored(payload))
    if kind_of(file) != f"{event.type}-{event.schema}":
        pytest.skip("an older schema is read, and written no more")
    prev = "null" if event.prev is None else f'"{event.prev}"'
    again = NewEvent(
        task=event.task,
        version=event.version,
        actor=event.actor,
        command=event.command,
        data=event.data,
        reason=event.reason,
        cause=None if event.cause is None else Position(event.cause),
        occurred_at=event.occurred_at,
    )
    assert b'{"prev":' + prev.encode() + b"," + encode_event(again)[1:] == payload


# --- writing ---------------------------------------------------------------------------------------------------


def test_encode_leaves_out_what_was_not_said() -> None:
    """Optional fields that are absent are not written; the event's data always is."""
    event = an_event(TaskStarted(), command="c")
    assert encode_event(event) == (
        b'{"type":"task.started","schema":2,"task":"'
        + TASK.encode()
        + b'","version":1,"actor":"alice","command":"c","data":{"run":null}}'
    )


def test_encode_begins_with_a_brace_and_a_field() -> None:
    """append.lua puts `prev` behind the first byte, so that byte is a brace and a field follows."""
    assert encode_event(an_event(TaskStarted()))[:2] == b'{"'


def test_cause_is_written_as_a_position() -> None:
    """An event may name the position of the event that led to it (DESIGN 4)."""
    event = an_event(TaskNoted("x"), cause=Position.parse(PREV))
    assert decode_event(PLACE, stored(encode_event(event))).cause == PREV


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 6, 1, 12, tzinfo=UTC), "2026-06-01T12:00:00.000Z"),
        (datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC), "2026-06-01T12:00:00.123Z"),
        (datetime(2026, 6, 1, 14, 0, 0, 5_000, tzinfo=timezone(timedelta(hours=2))), "2026-06-01T12:00:00.005Z"),
    ],
)
def test_occurred_at_is_written_in_utc_milliseconds(time: datetime, text: str) -> None:
    """Times are UTC, RFC 3339, milliseconds, `Z` (DESIGN 4), however the writer's clock is set."""
    raw = msgspec.json.decode(encode_event(an_event(TaskNoted("x"), occurred_at=time)))
    assert raw["occurred_at"] == text


def test_record_is_the_event_at_its_place() -> None:
    """A writer can fold its own events before it reads them back: but for `prev` they are the same."""
    event = an_event(TaskAssigned("bob"), version=3, reason="She asked")
    position = Position(PLACE, "ascii")
    read = decode_event(PLACE, stored(encode_event(event)))
    made = record(event, position)
    assert {field: getattr(made, field) for field in RecordedEvent.__struct_fields__} == {
        field: getattr(read, field) for field in RecordedEvent.__struct_fields__
    }
    assert made.type == read.type == "task.assigned"


# --- reading what is not right ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [b"event"],
        [b"data", envelope()],
        [b"Event", envelope()],
        [b"event", envelope(), b"more", b"x"],
        [b"more", b"x", b"event", envelope()],
        [b"event", envelope(), b"event", envelope()],
    ],
    ids=["none", "no value", "wrong name", "wrong case", "two", "two, ours second", "twice"],
)
def test_decode_of_other_fields_is_damage(fields: list[bytes]) -> None:
    """An entry has the one field `event`; anything else was not written by the append script."""
    with pytest.raises(EventDecodingError, match="1795398503973-522001") as caught:
        decode_event(PLACE, fields)
    assert caught.value.position == PLACE.decode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'{"type":"task.noted\xff"}',
        b"null",
        b"5",
        b'"task.noted"',
        b"[]",
        b"{}",
        b'{"type":5,"schema":1}',
        b'{"type":"task.noted","schema":"1"}',
        b'{"type":"task.noted","schema":null}',
        b"[" * 100_000,
        b'{"type":"task.noted","schema":1,"more":' + b"[" * 100_000,
    ],
    ids=lambda payload: ascii(payload[:24]),
)
def test_decode_of_what_is_no_event_is_damage(payload: bytes) -> None:
    """Bytes that are no JSON, or JSON that is no event, stop the reader and name the position (P10)."""
    with pytest.raises(EventDecodingError, match="1795398503973-522001 is not an event") as caught:
        decode_event(PLACE, stored(payload))
    assert caught.value.position == PLACE.decode()


@pytest.mark.parametrize("field", ["type", "schema", "task", "version", "actor", "command", "data"])
def test_decode_without_a_field_is_damage(field: str) -> None:
    """Every field of the envelope but the optional ones must be there."""
    with pytest.raises(EventDecodingError) as caught:
        decode_event(PLACE, stored(envelope(**{field: None})))
    assert type(caught.value) is EventDecodingError
    assert caught.value.position == PLACE.decode()


@pytest.mark.parametrize(
    "field",
    [
        {"task": 5},
        {"version": "4"},
        {"version": 1.5},
        {"actor": ["a"]},
        {"command": {}},
        {"prev": 5},
        {"reason": 5},
        {"occurred_at": "yesterday"},
        {"data": []},
        {"data": {}},
        {"data": {"text": 5}},
        {"data": {"Text": "x"}},
        {"schema": True},
        {"type": "task.tagged", "data": {"added": "x"}},
        {"type": "task.created", "data": {"tags": []}},
        {"type": "task.assigned", "data": {"agent": None}},
    ],
    ids=str,
)
def test_decode_with_a_wrong_value_is_damage(field: dict[str, object]) -> None:
    """A value of another type, or data of another shape, is no event of that type; the message names both."""
    with pytest.raises(EventDecodingError, match="1795398503973-522001 is not a") as caught:
        decode_event(PLACE, stored(envelope(**field)))
    assert type(caught.value) is EventDecodingError


@pytest.mark.parametrize("name", ["task.exploded", "task.adopted2", "TASK.NOTED", "", "note"])
@pytest.mark.parametrize("schema", [1, 7])
def test_decode_of_an_unknown_type_asks_for_an_upgrade(name: str, schema: int) -> None:
    """A type that this program does not know is never skipped: position, type and the advice."""
    with pytest.raises(UnknownEventError, match="upgrade") as caught:
        decode_event(PLACE, stored(envelope(type=name, schema=schema)))
    assert (caught.value.position, caught.value.event_type) == (PLACE.decode(), name)


def test_decode_of_the_first_event_has_no_prev() -> None:
    """The append script stamps the first event of a task with null."""
    payload = envelope().replace(f'"prev":"{PREV}"'.encode(), b'"prev":null')
    assert decode_event(PLACE, stored(payload)).prev is None


def test_decode_tolerates_fields_it_does_not_know() -> None:
    """A field that is merely new and optional does not need a new schema."""
    assert decode_event(PLACE, stored(envelope(mood="fine", data={"text": "x", "more": 1}))).data == TaskNoted("x")
