"""Reading a plan from parsed TOML: what each key means, and every fault."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import State
from town.plans.plan import NOBODY, Plan, PlanFault, PlannedTask, find_circles, is_uuid, read_plan


def a_task(id_: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": id_, "description": "Fix the pump"} | fields


def read(*tasks: dict[str, Any], **more: Any) -> Plan:
    plan, faults = read_plan({"tasks": list(tasks), **more})
    assert faults == []
    return plan


def faults_of(*tasks: dict[str, Any], **more: Any) -> list[PlanFault]:
    return read_plan({"tasks": list(tasks), **more})[1]


def test_id_and_description_are_enough() -> None:
    """The rest says nothing: no status, agent or result; no tags and no parent."""
    assert read(a_task()).tasks == (PlannedTask("a", "Fix the pump"),)
    assert read() == Plan()


def test_task_becomes_a_planned_task_with_all_it_says() -> None:
    """Names are trimmed, tags sorted, each once; the text of a result stays as it is."""
    found = read(
        a_task("top"),
        a_task(" b ", agent=" ada ", status="completed", tags=["b", " a", "b"], parent=" top ", result="Done\n"),
        meta={"description": "Sprint", "default_agent": "bob"},
    )
    assert found.tasks[1] == PlannedTask(
        "b", "Fix the pump", "ada", State.COMPLETED, tags=("a", "b"), parent="top", result="Done\n"
    )
    assert (found.description, found.default_agent) == ("Sprint", "bob")


def test_empty_texts_say_none_and_an_empty_agent_nobody() -> None:
    """An empty parent or result is none; an empty agent is nobody, which is more than saying nothing."""
    found = read(a_task(agent=" ", parent="", result=" "), meta={"default_agent": "", "description": ""})
    assert found == Plan(tasks=(PlannedTask("a", "Fix the pump", agent=NOBODY),))
    assert read(a_task()).tasks[0].agent is None


def test_unknown_keys_are_named_once_in_the_order_of_the_file() -> None:
    """Of the file, of its head and of its tasks, however often they come."""
    found = read(a_task(prio=1, note="x"), a_task("b", prio=2), meta={"owner": "me"}, tool={})
    assert found.not_understood == ("tool", "meta.owner", "tasks.prio", "tasks.note")


FAULTS: list[tuple[dict[str, Any], str | None, str]] = [
    ({"id": None}, None, "the task has no id"),
    ({"description": None}, None, "the task has no description"),
    ({"id": ""}, "id", "the id is empty"),
    ({"id": 5}, "id", "id is not a text"),
    ({"id": "x" * 129}, "id", "the id has 129 characters"),
    ({"id": "a\nb"}, "id", "unprintable character U+000A"),
    ({"description": " "}, "description", "the description is empty"),
    ({"description": "x" * 65_537}, "description", "65,537 bytes"),
    ({"description": "a\0"}, "description", "NUL"),
    ({"status": "done"}, "status", "the status 'done' is not one of pending, assigned, running, completed, failed"),
    ({"status": ""}, "status", "the status '' is not one of"),
    ({"status": 1}, "status", "the status 1 is not one of"),
    ({"status": []}, "status", "is not one of"),
    ({"agent": 1}, "agent", "agent is not a text"),
    ({"agent": "a\x1b"}, "agent", "unprintable character U+001B"),
    ({"agent": "", "status": "running"}, "agent", "the agent is nobody, and the status 'running' needs one"),
    ({"tags": "x"}, "tags", "tags is not a list"),
    ({"tags": ["a", 1]}, "tags", "the tag 1 is not a text"),
    ({"tags": ["x" * 65]}, "tags", "the tag has 65 characters"),
    ({"parent": 1}, "parent", "parent is not a text"),
    ({"parent": "a"}, "parent", "in a circle: a → a"),
    ({"result": 1}, "result", "result is not a text"),
    ({"result": "x" * 65_537}, "result", "65,537 bytes"),
]


@pytest.mark.parametrize(("fields", "key", "words"), FAULTS, ids=range(len(FAULTS)))
def test_fault_names_task_key_and_what_is_wrong(fields: dict[str, Any], key: str | None, words: str) -> None:
    """One wrong value is one fault, at its task and key."""
    task = {name: value for name, value in (a_task() | fields).items() if value is not None}
    [fault] = faults_of(a_task("first"), task)
    assert (fault.task, fault.key) == (1, key)
    assert words in fault.problem


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"meta": 1}, "meta"),
        ({"meta": {"description": 1}}, "meta.description"),
        ({"meta": {"default_agent": "a\n\x1b"}}, "meta.default_agent"),
    ],
)
def test_fault_of_the_head_names_its_key(more: dict[str, Any], key: str) -> None:
    """What is wrong outside of tasks is of no task."""
    [fault] = faults_of(**more)
    assert (fault.task, fault.key) == (None, key)


@pytest.mark.parametrize("tasks", [5, {}, [1], [[]]])
def test_tasks_that_are_no_tables_are_a_fault(tasks: Any) -> None:
    """`tasks` is a list of tables or nothing."""
    assert [fault.key for fault in read_plan({"tasks": tasks})[1]] == ["tasks"]


def test_double_id_names_the_first_and_each_is_told() -> None:
    """Also where they differ in blanks at the ends."""
    found = faults_of(a_task(), a_task("b"), a_task(" a"), a_task("a"))
    assert [(fault.task, fault.other) for fault in found] == [(2, 0), (3, 0)]


def test_every_fault_of_a_task_is_told() -> None:
    """Not only the first, so that a file is corrected in one go."""
    found = faults_of({"id": "", "status": "x", "tags": [1, "\n", "ok"], "agent": 2})
    assert [(fault.key, fault.item) for fault in found] == [
        ("id", None),
        (None, None),
        ("agent", None),
        ("status", None),
        ("tags", 0),
        ("tags", 1),
    ]


def test_broken_task_is_not_told_what_it_lacks() -> None:
    """Where a line could not be parsed, the key it had is not missing."""
    assert read_plan({"tasks": [{}]}, broken=frozenset({0}))[1] == []


@pytest.mark.parametrize(
    ("above", "circles"),
    [
        ({}, []),
        ({"a": "b", "b": "c"}, []),
        ({"b": "a", "a": "b"}, [["a", "b"]]),
        ({"c": "b", "b": "a", "a": "c", "d": "a"}, [["a", "c", "b"]]),
        ({"a": "x", "x": "y", "y": "x"}, [["x", "y"]]),
        ({"a": "a", "b": "c", "c": "b", "d": "elsewhere"}, [["a"], ["b", "c"]]),
    ],
)
def test_each_circle_is_found_once_from_its_first_task(above: dict[str, str], circles: list[list[str]]) -> None:
    """What hangs on a circle is not on it."""
    assert find_circles(["a", "b", "c", "d"], above) == circles


def test_only_names_of_the_town_need_the_town() -> None:
    """A parent in the file, in whatever order, says all by itself; an id that may be a task's own does not."""
    assert not read(a_task("b", parent="a"), a_task("a")).has_names_of_town
    assert read(a_task(parent="x")).names_outside() == ["x"]
    assert read(a_task("550E8400-e29b-41d4-a716-446655440000")).has_names_of_town
    assert not is_uuid("550e8400")


def test_long_circle_is_told_in_short() -> None:
    """How many tasks it has, the first and the last; 3,000 ids would fill the terminal."""
    tasks = [{"id": f"t{number}", "description": "x", "parent": f"t{(number + 1) % 3_001}"} for number in range(3_001)]
    [fault] = read_plan({"tasks": tasks})[1]
    assert fault.problem == ("its parent lies below it, in a circle of 3,001: t0 → t1 → t2 → t3 → t4 → … → t3000 → t0")
