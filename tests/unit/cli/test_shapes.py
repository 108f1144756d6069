"""The JSON shapes of facts: what is always there, what is only there where it is known."""

from __future__ import annotations

import json

import msgspec

from cli.output import json_line
from ledger import Position, State, TaskAssigned, TaskCreated, steps
from projections import Difference, encode_snapshot
from projections.checking.comparison import DifferenceKind
from shapes import branch_shape, event_shape, moment_shape, step_shape, task_shape
from shapes.read_side import difference_shape
from tests.support.builders import START_MS, TASK, a_task, a_task_in, recorded
from town import Branch

CREATED = recorded([TaskCreated("a", ("x",))])[0]
OPTIONAL = {"reason": "why", "cause": Position.of(ms=START_MS, seq=1), "occurred_at": "2026-11-23T00:00:00.000Z"}


def test_task_shape_is_the_snapshot_and_its_title() -> None:
    """The JSON that any Redis client reads at the task's key, and the first line of the description; no task is null."""
    task = a_task_in(State.COMPLETED, description="Write it\n\nAll of it")
    shape = json.loads(json_line(task_shape(task)))
    assert shape == {"title": "Write it", **json.loads(encode_snapshot(task))}
    assert task_shape(None) is None


def test_event_shape_has_place_time_and_the_whole_event() -> None:
    """What nobody said is left out, not null."""
    shape = event_shape(CREATED)
    assert (shape["position"], shape["number"], shape["time"]) == (CREATED.position, 1, "2026-11-23T01:48:23.974Z")
    assert (shape["type"], shape["task"], shape["version"], shape["actor"]) == ("task.created", TASK, 1, "alice")
    assert shape["data"]["description"] == "a"
    assert list(shape["data"]["tags"]) == ["x"]
    assert not OPTIONAL.keys() & shape.keys()


def test_event_shape_has_what_somebody_said() -> None:
    """Reason, cause and the time when it happened, each where it is known."""
    shape = event_shape(msgspec.structs.replace(CREATED, **OPTIONAL))
    assert {name: shape[name] for name in OPTIONAL} == OPTIONAL


def test_step_shape_is_the_event_and_its_changes() -> None:
    """Each change has the field, and its value before and after."""
    step = steps(recorded([TaskCreated("a"), TaskAssigned("ada")]))[1]
    shape = step_shape(step)
    assert shape["changes"] == [
        {"field": "state", "before": "pending", "after": "assigned"},
        {"field": "assigned_to", "before": None, "after": "ada"},
    ]
    assert {name: value for name, value in shape.items() if name != "changes"} == event_shape(step.event)


def test_branch_shape_counts_children() -> None:
    """How many there are, and how many of them are completed."""
    shape = branch_shape(Branch(a_task(), 2, {State.COMPLETED: 1, State.FAILED: 2, State.PENDING: 3}))
    assert (shape["depth"], shape["children"], shape["done"]) == (2, 6, 1)
    assert branch_shape(Branch(a_task(), 0, {}))["children"] == 0


def test_difference_shape_names_the_fields_that_differ() -> None:
    """Of a snapshot only those; and the position after which they parted."""
    expected, actual = (encode_snapshot(a_task(description=text)).decode() for text in "ab")
    found = Difference(kind=DifferenceKind.SNAPSHOT, key="tt:a:task:1", task_id=TASK, expected=expected, actual=actual)
    assert difference_shape(found, CREATED.position) == {
        "kind": "snapshot",
        "key": "tt:a:task:1",
        "task": TASK,
        "parted_after": CREATED.position,
        "fields": [("description", "a", "b")],
    }


def test_difference_shape_writes_out_a_key_that_is_no_text() -> None:
    """Any bytes may be a key, and JSON is text."""
    found = Difference(kind=DifferenceKind.UNKNOWN_KEY, key="tt:a:\udcff")
    shape = difference_shape(found, None)
    assert (shape["key"], shape["task"], shape["parted_after"]) == ("tt:a:\\udcff", None, None)
    assert json.loads(json_line(shape))["key"] == "tt:a:\\udcff"


def test_moment_shape_says_position_number_and_time() -> None:
    """Three names of one moment."""
    position = Position.of(ms=START_MS, seq=7)
    assert moment_shape(position) == {"position": position, "number": 7, "time": "2026-11-23T01:48:23.973Z"}
