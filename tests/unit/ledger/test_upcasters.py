"""Lifting old payloads, step by step."""

from __future__ import annotations

import pytest

from ledger import (
    EVENT_CLASSES,
    TOWN_EVENT_CLASSES,
    EventDecodingError,
    NewerSchemaError,
    TaskNoted,
    UpcasterMissingError,
    decode_event,
)
from ledger.upcasters import UPCASTERS, Data, Upcaster, upcast
from tests.support.builders import TASK


def upcast_noted_v0_v1(data: Data) -> Data:
    """Made up: schema 0 called the text `note`."""
    return {"text": data["note"]}


def add_step(name: str) -> Upcaster:
    return lambda data: {"steps": [*data.get("steps", []), name]}


def payload(schema: int, data: str) -> list[bytes]:
    text = f'{{"prev":"1-1","type":"task.noted","schema":{schema},"task":"{TASK}","version":2,"actor":"a","command":"c","data":{data}}}'
    return [b"event", text.encode()]


def test_upcast_runs_the_steps_in_order() -> None:
    """From schema 1 to 4 there are three steps, each fed with what the one before it made; other types' are left alone."""
    steps = {("task.noted", schema): add_step(f"{schema}") for schema in (3, 1, 2, 4)} | {
        ("task.moved", 1): add_step("x")
    }
    lifted = upcast({}, event_type="task.noted", schema=1, newest=4, position="1-1", upcasters=steps)
    assert lifted == {"steps": ["1", "2", "3"]}


def test_upcast_of_the_newest_schema_is_the_data_itself() -> None:
    """Nothing to lift, nothing changed."""
    data = {"text": "x"}
    assert upcast(data, event_type="task.noted", schema=1, newest=1, position="1-1", upcasters={}) is data


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_upcast_with_a_missing_step_is_damage(missing: int) -> None:
    """A chain with a hole stops, and names the position, the type and the schema that nothing lifts."""
    steps = {("task.noted", schema): add_step("x") for schema in (1, 2, 3) if schema != missing}
    with pytest.raises(UpcasterMissingError) as caught:
        upcast({}, event_type="task.noted", schema=1, newest=4, position="7-7", upcasters=steps)
    assert (caught.value.position, caught.value.event_type, caught.value.schema) == ("7-7", "task.noted", missing)


def test_decode_lifts_an_old_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of an older schema is read as one of the newest, with its place and envelope."""
    monkeypatch.setitem(UPCASTERS, ("task.noted", 0), upcast_noted_v0_v1)
    event = decode_event(b"5-2", payload(0, '{"note":"Old words"}'))
    assert event.data == TaskNoted("Old words")
    assert (event.schema, event.position, event.prev, event.version) == (1, "5-2", "1-1", 2)


def test_decode_lifts_an_old_schema_whose_data_still_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema decides, not whether the old data happens to look like the new."""
    monkeypatch.setitem(UPCASTERS, ("task.noted", 0), lambda data: {"text": f"{data['text']}!"})
    assert decode_event(b"5-2", payload(0, '{"text":"Old"}')).data == TaskNoted("Old!")


@pytest.mark.parametrize("data", ['{"note":"x"}', '{"text":"x"}'])
@pytest.mark.parametrize("schema", [0, -1])
def test_decode_of_an_old_schema_without_upcaster_is_damage(schema: int, data: str) -> None:
    """No upcaster, no guess: also where the data would fit the newest schema."""
    with pytest.raises(UpcasterMissingError) as caught:
        decode_event(b"5-2", payload(schema, data))
    assert (caught.value.position, caught.value.schema) == ("5-2", schema)


def test_decode_of_what_an_upcaster_made_wrong_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of the chain is checked as any event is."""
    monkeypatch.setitem(UPCASTERS, ("task.noted", 0), lambda _data: {"text": 5})
    with pytest.raises(EventDecodingError, match=r"5-2 is not a task.noted"):
        decode_event(b"5-2", payload(0, "{}"))


def test_decode_of_a_newer_schema_asks_for_an_upgrade() -> None:
    """A newer program wrote it: stop with the position and the advice, whatever the data looks like."""
    for data in ('{"text":"x"}', '{"words":["x"]}'):
        with pytest.raises(NewerSchemaError, match="upgrade") as caught:
            decode_event(b"5-2", payload(2, data))
        assert (caught.value.position, caught.value.schema, caught.value.schema_known) == ("5-2", 2, 1)


def test_upcasters_lead_to_the_newest_schema() -> None:
    """For every registered step, the next one is registered too or its schema is the newest."""
    newest = {event_class.type: event_class.schema for event_class in (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)}
    for event_type, schema in UPCASTERS:
        assert schema + 1 == newest[event_type] or (event_type, schema + 1) in UPCASTERS
