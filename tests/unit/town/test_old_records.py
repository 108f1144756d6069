"""Old keys and records: what is taken for a task, what a record says, and why another one is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger import OldRecord, State, TaskAdopted
from tests.support.builders import TASK
from town.migration.old_records import (
    Form,
    KeyKind,
    OldKey,
    OldKeys,
    OldTask,
    adopted,
    newest,
    read_agent_name,
    read_record,
)

OTHER = "7106d568-7338-4cfd-b120-595949339bae"
FIELDS: dict[str, Any] = {
    "id": TASK,
    "description": "Implement user authentication",
    "state": "pending",
    "created_at": "2025-03-01T09:00:00Z",
    "updated_at": "2025-03-02T09:00:00Z",
}


def a_record(**fields: Any) -> OldRecord:
    """A JSON record of TASK; a field that is None is left out."""
    given = {name: value for name, value in (FIELDS | fields).items() if value is not None}
    return OldRecord(f"tt:task:{TASK}", "string", msgspec.json.encode(given).decode())


def a_hash(**fields: str) -> OldRecord:
    return OldRecord(f"tt:demo:task:{TASK}", "hash", FIELDS | fields)


def read(**fields: Any) -> OldTask:
    return read_record(a_record(**fields), TASK)


def event(old: OldTask, **more: Any) -> TaskAdopted:
    given: dict[str, Any] = {"agent_name": str, "has_alias": True, "has_parent": True} | more
    return adopted(old, (a_record(),), **given)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"tt:demo:task:{TASK}", OldKey(KeyKind.TASK, TASK, Form.TOWN)),
        (f"tt:task:{TASK}", OldKey(KeyKind.TASK, TASK, Form.BARE)),
        (f"mt:task:{TASK}", OldKey(KeyKind.TASK, TASK, Form.OLDEST)),
        (f"tt:demo:agent:{TASK}", OldKey(KeyKind.AGENT, TASK, Form.TOWN)),
        (f"tt:agent:{TASK}", OldKey(KeyKind.AGENT, TASK, Form.BARE)),
        ("tt:demo:backlog", OldKey(KeyKind.BACKLOG, "", Form.TOWN)),
        ("tt:backlog", OldKey(KeyKind.BACKLOG, "", Form.BARE)),
        ("tt:demo:task:by-hand", OldKey(KeyKind.TASK, "", Form.TOWN)),
        ("tt:task:backlog", None),
        ("tt:agent:backlog", None),
        (f"tt:task:{TASK.upper()}", None),
        (f"tt:task:{TASK}:more", None),
        (f"tt:other:task:{TASK}", None),
        (f"tt:demo:mission:{TASK}", None),
        (f"tt:demo:inbox:{TASK}", None),
        ("tt:demo:ledger", None),
        ("tt:demo:backlog:more", None),
        ("mt:backlog", None),
        (f"mt:demo:task:{TASK}", None),
    ],
)
def test_key_is_told_by_its_name(key: str, expected: OldKey | None) -> None:
    """A key that names no town has a UUID at its end; another town's, and every other type, is none of ours."""
    assert OldKeys("demo").kind_of(key) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"tt:task:{TASK.upper()}", True),
        (f"mt:task:{TASK.upper()}", True),
        (f"tt:demo:task:{TASK.upper()}", True),
        (f"tt:task:{TASK}", False),
        (f"tt:agent:{TASK.upper()}", False),
        (f"tt:other:task:{TASK.upper()}", False),
        ("tt:demo:task:By-Hand", False),
        ("Tt:Task", False),
    ],
)
def test_task_whose_id_has_capitals_is_told(key: str, expected: bool) -> None:
    """It is no task's key, and whoever wrote it thought so: it is not to be passed over in silence."""
    assert OldKeys("demo").has_capitals(key) == expected


def test_keys_of_a_town_whose_name_ends_like_a_type_are_told() -> None:
    """A town may be called my-task: its keys have `task:` twice."""
    assert OldKeys("my-task").kind_of(f"tt:my-task:agent:{TASK}") == OldKey(KeyKind.AGENT, TASK, Form.TOWN)


def test_record_as_json_and_as_hash_say_the_same() -> None:
    """A hash's tags are JSON in a string, and its empty fields are nothing."""
    more = {"assigned_to": OTHER, "result": "", "parent_id": OTHER, "started_at": "2025-03-01T10:00:00Z"}
    as_hash = read_record(a_hash(**more, tags='["b","a"]'), TASK)
    as_json = read(**more, tags=["b", "a"])
    assert as_hash == as_json
    assert (as_hash.tags, as_hash.result, as_hash.parent_id) == (("a", "b"), None, OTHER)


@pytest.mark.parametrize(
    ("word", "state"),
    [*((state.value, state) for state in State), ("in_flight", State.RUNNING), ("Pending", State.PENDING)],
)
def test_state_is_one_of_six_words_or_in_flight(word: str, state: State) -> None:
    """However it is capitalised; `in_flight` is running."""
    assert read(state=word).state is state


@pytest.mark.parametrize(
    ("time", "written"),
    [
        ("2025-03-01t09:00:00.5z", "2025-03-01T09:00:00.500Z"),
        ("2025-09-01T07:00:00.123456789+00:00", "2025-09-01T07:00:00.123Z"),
        ("2025-09-01T07:00:00Z", "2025-09-01T07:00:00.000Z"),
        ("2025-09-01T09:00:00.5+02:00", "2025-09-01T07:00:00.500Z"),
    ],
)
def test_times_are_read_to_the_millisecond(time: str, written: str) -> None:
    """RFC 3339 with up to nanoseconds, in any zone, becomes UTC with milliseconds."""
    assert event(read(created_at=time)).created_at == written


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"id": None}, "it has no id"),
        ({"id": OTHER}, f"it says that it is task {OTHER!r}"),
        ({"description": None}, "it has no description"),
        ({"description": 7}, "its description is not text"),
        ({"state": None}, "it has no state"),
        ({"state": "sleeping"}, "its state 'sleeping' is not one of"),
        ({"created_at": None, "updated_at": None}, "it has no created_at"),
        ({"created_at": "yesterday", "updated_at": None}, "its created_at is not a time with a zone: 'yesterday'"),
        (
            {"created_at": None, "updated_at": "2025-03-01T09:00:00"},
            "its updated_at is not a time with a zone: '2025-03-01T09:00:00'",
        ),
        ({"created_at": 1740819600, "updated_at": []}, "its created_at is not a time with a zone: '1740819600'"),
        ({"position": "1-1"}, "it is a snapshot of a ledger"),
    ],
)
def test_record_that_is_no_task_says_why(fields: dict[str, Any], why: str) -> None:
    """What has no id, description, state or time, or says that it is another task, is not taken for one."""
    with pytest.raises(ValueError, match=why):
        read(**fields)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "[" * 100_000])
def test_text_that_is_no_json_object_says_so(text: str) -> None:
    """Broken, deep or other JSON is no record."""
    with pytest.raises(ValueError, match=r"it is not JSON|its JSON is not an object"):
        read_record(OldRecord("tt:task:x", "string", text), TASK)


@pytest.mark.parametrize(
    ("fields", "irregularity"),
    [
        ({"created_at": None}, "it has no created_at; updated_at stands for it"),
        ({"updated_at": "soon"}, "its updated_at is not a time, and is left out"),
        ({"started_at": 5}, "its started_at is not a time, and is left out"),
        ({"completed_at": "0001-01-01T00:00:00+23:59"}, "its completed_at is not a time, and is left out"),
        ({"description": " "}, "its description is empty"),
        ({"result": "\0"}, "its result held NUL characters, which are replaced"),
        ({"result": 5}, "its result is not text, and is left out"),
        ({"result": "x" * 70_000}, "its result has 70,000 bytes, and is cut to 65,536"),
        ({"assigned_to": "\x07"}, "its assigned_to is not an agent, and is left out"),
        ({"assigned_to": {"id": OTHER}}, "its assigned_to is not an agent, and is left out"),
        ({"parent_id": "epic"}, "its parent_id is not a task id, and is left out"),
        ({"tags": {"a": 1}}, "its tags are not a list, and are left out"),
        ({"tags": ["ok", 5, "", "x" * 65]}, "invalid tags are left out: 3"),
        ({"state": "running"}, "it is running, without an agent"),
        ({"assigned_to": OTHER}, "it is pending, with an agent"),
        ({"state": "failed"}, "it is failed, without an end time"),
        ({"completed_at": "2025-03-02T09:00:00Z"}, "it is pending, with an end time"),
    ],
)
def test_what_does_not_fit_is_told(fields: dict[str, Any], irregularity: str) -> None:
    """The task is read as far as it fits, and each thing that did not is said in words."""
    assert irregularity in read(**fields).irregularities


def test_cut_text_ends_at_a_whole_character() -> None:
    """Three bytes a character do not divide the limit; the last one that does not fit is left out whole."""
    assert read(result="€" * 30_000).result == "€" * 21_845


def test_first_plan_tag_is_the_alias() -> None:
    """It leaves the tags where it becomes the alias, and stays where it does not; a second one is a tag."""
    old = read(tags=["plan:login", "plan:other", "a"])
    assert (event(old).alias, event(old).tags) == ("login", ("a", "plan:other"))
    kept = event(old, has_alias=False)
    assert (kept.alias, kept.tags) == (None, ("a", "plan:login", "plan:other"))


def test_plan_tag_that_is_no_name_is_a_tag() -> None:
    """`plan:` names nothing."""
    old = read(tags=["plan:"])
    assert (old.alias, old.tags, old.irregularities) == (None, ("plan:",), ())


def test_alias_may_be_longer_than_a_tag() -> None:
    """A tag of more than 64 characters fits no tag, and its plan's id may still be an alias."""
    old = read(tags=[f"plan:{'x' * 100}"])
    assert (old.alias, old.alias_tag, old.irregularities) == ("x" * 100, None, ())
    assert event(old, has_alias=False).tags == ()


def test_agent_is_named_and_parent_left_out_as_told() -> None:
    """The event has what `agent_name` says of the agent, and no parent where the task goes to the top."""
    old = read(state="assigned", assigned_to=OTHER, parent_id=OTHER)
    assert event(old, agent_name=lambda agent: f"named {agent[:4]}").assigned_to == "named 7106"
    assert (event(old).parent_id, event(old, has_parent=False).parent_id) == (OTHER, None)


def test_newest_record_is_that_of_the_last_update_and_the_first_of_several() -> None:
    """Times decide; of equal ones the first, which is of the newest form."""
    times = ["2025-03-01T00:00:00Z", "2025-03-03T00:00:00Z", "2025-03-03T00:00:00Z"]
    assert newest([(a_record(), read(updated_at=time)) for time in times]) == 1


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (OldRecord("tt:agent:x", "string", '{"name":" ada "}'), "ada"),
        (OldRecord("tt:agent:x", "hash", {"name": "Ada Lovelace"}), "Ada Lovelace"),
        (OldRecord("tt:agent:x", "hash", {"name": "\x1b[31m"}), None),
        (OldRecord("tt:agent:x", "hash", {}), None),
        (OldRecord("tt:agent:x", "string", "{"), None),
    ],
)
def test_agent_record_gives_a_name_that_fits_or_none(record: OldRecord, name: str | None) -> None:
    """A name is trimmed; one that does not fit is none, and the UUID stands."""
    assert read_agent_name(record) == name
