"""What other programs get: CSV that is no formula, OCEL 2.0 that its schema accepts, CloudEvents 1.0."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
import redis

from ledger import (
    EventStore,
    Keys,
    LinkKind,
    Source,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCreated,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskScheduled,
    TaskStarted,
    TaskUnlinked,
)
from projections import replay
from tests.support.builders import TASK, append, task_id
from tests.support.damaged import add_by_hand
from tests.support.histories import Filler
from tests.support.ledger_files import backend_of, export_to
from tests.support.markdown import ROOT
from town.backend import Backend
from town.errors import FolderRefusedError
from town.exports.exporter import Format, format_of
from town.exports.table import TABLE_COLUMNS, safe_cell

SCHEMA: Final = json.loads((ROOT / "tests" / "support" / "schemas" / "ocel20-schema-json.json").read_text("utf-8"))
"""The published one, https://www.ocel-standard.org/2.0/ocel20-schema-json.json."""
ATTRIBUTE_TYPES: Final = {"string", "time", "integer", "float", "boolean"}
EVIL: Final = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "'quoted", '=HYPERLINK("http://x","y")']


@pytest.fixture
def backend(client: redis.Redis, keys: Keys, tmp_path: Path) -> Backend:
    """A town with a history of several tasks, one of them from a plan, one below another, one removed."""
    store = EventStore(client, keys)
    append(store, [TaskCreated("Above", source=Source.PLAN), TaskAssigned("ada"), TaskAssigned("bob"), TaskStarted()])
    append(store, [TaskCreated("Below", parent_id=TASK), TaskMoved(None), TaskRemoved()], task=task_id(90))
    Filler(store, seed=3).fill(60)
    return backend_of(client, keys, tmp_path)


def exported(backend: Backend, form: Format, **options: Any) -> bytes:
    out = io.BytesIO()
    export_to(backend, out, form, **options)
    return out.getvalue()


def rows_of(backend: Backend, **options: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(backend, Format.CSV, **options).decode("utf-8-sig"), newline="")))


def ocel_of(backend: Backend, **options: Any) -> Any:
    return json.loads(exported(backend, Format.OCEL, **options))


# --- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", EVIL)
def test_cell_is_never_a_formula_and_can_be_taken_back(text: str) -> None:
    """An apostrophe is in front of all that a spreadsheet would evaluate; without it the text is as it was."""
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "plain", "a=b", " =1", "✅"])
def test_other_cells_are_as_they_are(text: str) -> None:
    """Only a beginning counts."""
    assert safe_cell(text) == text


def test_no_cell_of_a_hostile_town_is_a_formula(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """Whatever agents write, into whichever field, the rows are whole and no cell begins a formula."""
    store = EventStore(client, keys)
    for number, text in enumerate(EVIL, 1):
        facts = [TaskCreated(text, tags=(text.strip(),)), TaskNoted(text), TaskNoted(f'{text}"\r\n=2,{text}')]
        append(store, facts, task=task_id(number))
    rows = rows_of(backend_of(client, keys, tmp_path))
    assert len(rows) == 3 * len(EVIL)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if re.match(r"[=+\-@\t\r\n＝＋－＠]", cell)]
    assert [row["description"].removeprefix("'") for row in rows[::3]] == EVIL


def test_table_has_a_row_for_each_event_with_its_task_right_after_it(backend: Backend) -> None:
    """Numbers and positions are those of the ledger, the task is that of the fold; of a removed one, that of before."""
    rows = rows_of(backend)
    events = backend.store.read()
    assert list(rows[0]) == list(TABLE_COLUMNS)
    assert [(row["number"], row["position"], row["type"]) for row in rows] == [
        (str(each.position.seq), each.at, each.type) for each in events
    ]
    for row in rows[:12]:
        task = replay(backend.store, upto=events[int(row["number"]) - 1].position).get(row["task"])
        if task is None:
            assert (row["type"], row["description"]) == ("task.removed", "Below")
        else:
            assert (row["state"], row["agent"], row["description"]) == (task.state, task.holder or "", task.description)


def test_table_of_a_part_knows_what_was_before(backend: Backend) -> None:
    """Rows of a time or a task are those of the whole table."""
    rows = rows_of(backend)
    events = backend.store.read()
    assert rows_of(backend, since=events[3].position, until=events[9].position) == rows[3:10]
    assert rows_of(backend, task=TASK) == [row for row in rows if row["task"] == TASK]


# --- OCEL --------------------------------------------------------------------------------------------------------


def test_ocel_is_as_its_schema_says(backend: Backend) -> None:
    """The published JSON schema accepts it, types are declared, and each relation leads to an object."""
    for options in ({}, {"task": task_id(90)}, {"since": backend.store.read()[20].position}):
        log = ocel_of(backend, **options)
        jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
        assert_declared(log)


def test_schema_refuses_what_is_not_ocel(backend: Backend) -> None:
    """So that the test above can fail."""
    log = ocel_of(backend)
    log["events"][0]["attributes"][0]["value"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SCHEMA)


def assert_declared(log: Any) -> None:
    """Ids are unique, every type and attribute is declared, and every relation leads to an object."""
    ids = [each["id"] for each in log["objects"]]
    assert len(set(ids)) == len(ids)
    for kinds, things in (("eventTypes", "events"), ("objectTypes", "objects")):
        declared = {each["name"]: {one["name"]: one["type"] for one in each["attributes"]} for each in log[kinds]}
        assert {kind for attributes in declared.values() for kind in attributes.values()} <= ATTRIBUTE_TYPES
        for thing in log[things]:
            assert {each["name"] for each in thing["attributes"]} <= declared[thing["type"]].keys()
            assert {each["objectId"] for each in thing["relationships"]} <= set(ids)


def test_ocel_relates_events_to_who_and_what_they_concern(backend: Backend) -> None:
    """The task, its holder and the one before, the actor, the parent and the plan, each by its word."""
    events = ocel_of(backend)["events"]
    relations = [{each["qualifier"]: each["objectId"] for each in event["relationships"]} for event in events]
    assert relations[0] == {"task": TASK, "actor": "agent:alice", "plan": f"plan:{backend.name}"}
    assert relations[1] == {"task": TASK, "actor": "agent:alice", "holder": "agent:ada"}
    assert relations[2] == relations[1] | {"holder": "agent:bob", "former holder": "agent:ada"}
    assert relations[4] == {"task": task_id(90), "actor": "agent:alice", "parent": TASK}


def test_ocel_objects_have_each_value_at_its_time(backend: Backend) -> None:
    """A task's attributes, read up to any event, are what the fold says there."""
    log = ocel_of(backend)
    values = {each["id"]: each["attributes"] for each in log["objects"] if each["type"] == "task"}
    events = backend.store.read()
    for recorded in events[:: len(events) // 8]:
        time = next(each["time"] for each in log["events"] if each["id"] == recorded.at)
        last_of_time = [each for each in events if each.position.ms == recorded.position.ms][-1]
        board = replay(backend.store, upto=last_of_time.position)
        for task_id_, attributes in values.items():
            known = defaultdict(str, {each["name"]: each["value"] for each in attributes if each["time"] <= time})
            task = board.get(task_id_)
            expected = task.state if task is not None else known["state"]
            assert known["state"] == expected
            if task is not None:
                assert (known["description"], known["assigned_to"]) == (task.description, task.assigned_to or "")
                assert known["tags"] == (json.dumps(list(task.tags), separators=(",", ":")) if task.tags else "")


def test_ocel_of_one_task_has_that_task_and_what_it_names(backend: Backend) -> None:
    """The parent is there as an object, though the log tells nothing else of it."""
    log = ocel_of(backend, task=task_id(90))
    assert len(log["events"]) == 3
    assert {each["id"]: bool(each["attributes"]) for each in log["objects"] if each["type"] == "task"} == {
        task_id(90): True,
        TASK: False,
    }


NEW_FACTS: Final = {
    TaskPrioritised(0): "priority: 0",
    TaskScheduled("2026-12-01T17:00:00.000Z", None): "due: 2026-12-01T17:00:00.000Z",
    TaskScheduled(): "",
    TaskLinked(LinkKind.NEEDS, task_id(7)): f"kind: needs; to: {task_id(7)}",
    TaskLinked(LinkKind.RELATES, task_id(8)): f"kind: relates; to: {task_id(8)}",
    TaskUnlinked(LinkKind.NEEDS, task_id(7)): f"kind: needs; to: {task_id(7)}",
    TaskAsked("=1?", ("=2", "+3")): '\'=1?; choices: ["=2","+3"]',
    TaskAnswered("=2"): "'=2",
}
"""Fact -> its cell in a table."""


def test_priority_times_links_and_questions_go_out(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """Tables tell what was said. In a log of OCEL, a link is a relation to the other task, then and at the end."""
    store = EventStore(client, keys)
    append(store, [TaskCreated("Linked"), *NEW_FACTS])
    town = backend_of(client, keys, tmp_path)
    assert [row["detail"] for row in rows_of(town)][1:] == list(NEW_FACTS.values())
    log = ocel_of(town)
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    assert_declared(log)
    related = [{each["qualifier"]: each["objectId"] for each in event["relationships"]} for event in log["events"]]
    assert [each.get("needs") for each in related] == [None] * 4 + [task_id(7), None, task_id(7), None, None]
    assert related[5]["relates"] == task_id(8)
    tasks = {each["id"]: each for each in log["objects"] if each["type"] == "task"}
    assert tasks.keys() == {TASK, task_id(7), task_id(8)}
    assert tasks[TASK]["relationships"] == [{"objectId": task_id(8), "qualifier": "relates"}]
    values = [(each["name"], each["value"]) for each in tasks[TASK]["attributes"]]
    assert values[2:] == [
        ("priority", "0"),
        ("due", "2026-12-01T17:00:00.000Z"),
        ("due", ""),
        ("question", "=1?"),
        ("choices", '["=2","+3"]'),
        ("answer", "=2"),
    ]
    lines = exported(town, Format.CLOUDEVENTS).splitlines()
    assert [json.loads(line)["data"]["type"] for line in lines][1:] == [each.type for each in NEW_FACTS]


# --- CloudEvents ---------------------------------------------------------------------------------------------------


def test_cloud_events_are_as_the_standard_says(backend: Backend) -> None:
    """Required attributes, names of small letters and digits, and the stored event as data, byte for byte."""
    lines = exported(backend, Format.CLOUDEVENTS).splitlines()
    entries = [entry for batch in backend.store.read_entries() for entry in batch]
    assert len(lines) == len(entries)
    for line, (position, (_, payload)) in zip(lines, entries, strict=True):
        event = json.loads(line)
        assert event["specversion"] == "1.0"
        assert (event["id"], event["source"]) == (position.decode(), f"/tinytown/towns/{backend.name}")
        assert event["type"].startswith("tinytown.task.")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
        assert all(isinstance(event[name], str) for name in event if name != "data")
        assert line.endswith(b'"data":' + payload + b"}")
    assert [json.loads(line)["sequence"] for line in lines] == sorted(json.loads(line)["sequence"] for line in lines)


# --- damage, names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [Format.CSV, Format.OCEL, Format.CLOUDEVENTS])
def test_event_that_no_command_can_make_does_not_end_an_export(backend: Backend, form: Format) -> None:
    """It is there with what is wrong with it, and the rest as it is."""
    add_by_hand(backend.client, backend.keys, TASK, type="task.assigned", data={"agent": 7})
    add_by_hand(backend.client, backend.keys, "\x1b]0;x\x07", data={"text": "x"})
    content = exported(backend, form)
    assert len(content) > 1_000
    if form is Format.OCEL:
        jsonschema.validate(json.loads(content), SCHEMA)
    if form is Format.CSV:
        assert "agent" in rows_of(backend)[-2]["detail"]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"),
        ("a.csv.gz", "csv"),
        ("a.CSV.zst", "csv"),
        ("a.jsonl", "jsonl"),
        ("a", "jsonl"),
        ("a.gz", "jsonl"),
    ],
)
def test_name_says_the_format(name: str, form: str) -> None:
    """As far as a name can: a table is asked for by .csv."""
    assert format_of(Path(name)) == form


def test_place_that_cannot_be_written_is_named(backend: Backend, tmp_path: Path) -> None:
    """The file that was asked for, not the one beside it."""
    with pytest.raises(FolderRefusedError, match=r"none/a\.csv"):
        export_to(backend, tmp_path / "none" / "a.csv", Format.CSV)
