"""Reading a plan from parsed TOML: what each key means, and every fault."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
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
    ({"priority": 5}, "priority", "the priority 5 is not one of 0 (most urgent) to 4"),
    ({"priority": -1}, "priority", "the priority -1 is not"),
    ({"priority": "1"}, "priority", "the priority '1' is not"),
    ({"priority": True}, "priority", "the priority True is not"),
    ({"due": "soon"}, "due", "due is no time"),
    ({"due": "2026-02-30"}, "due", "due is no time"),
    ({"due": 5}, "due", "due is no time"),
    ({"due": time(17)}, "due", "due is no time"),
    ({"due": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}, "due", "due is no time"),
    ({"not_before": datetime(2026, 12, 24, 17)}, "not_before", "not_before has no time zone"),  # noqa: DTZ001 - that is it
    ({"not_before": "2026-12-24T17:00:00"}, "not_before", "not_before has no time zone"),
    ({"needs": "first"}, "needs", "needs is not a list"),
    ({"needs": ["first", 1]}, "needs", "the needed task 1 is not a text"),
    ({"needs": ["first", " "]}, "needs", "the needed task is empty"),
    ({"needs": ["first", "a"]}, "needs", "it waits for itself, in a circle: a → a"),
    ({"needs": ["first"], "parent": "first"}, "needs", "in a circle: a → first → a"),
    ({"needs": [str(number) for number in range(1_001)]}, "needs", "it needs 1,001 tasks, and at most 1,000"),
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


@pytest.mark.parametrize(
    ("key", "value", "moment"),
    [
        ("due", date(2026, 12, 24), "2026-12-24T23:59:59+00:00"),
        ("due", "2026-12-24", "2026-12-24T23:59:59+00:00"),
        ("not_before", date(2026, 12, 24), "2026-12-24T00:00:00+00:00"),
        ("not_before", "2026-12-24", "2026-12-24T00:00:00+00:00"),
        ("due", "2026-12-24T17:00:00.1239+01:00", "2026-12-24T16:00:00.123000+00:00"),
        ("due", datetime(2026, 12, 24, 17, tzinfo=UTC), "2026-12-24T17:00:00+00:00"),
        ("due", " ", None),
    ],
)
def test_time_is_a_moment_and_a_day_one_of_its_ends(key: str, value: Any, moment: str | None) -> None:
    """A day is the same moment on every machine: its end in UTC when something is due, its beginning before that."""
    found = getattr(read(a_task(**{key: value})).tasks[0], key)
    assert (found and found.isoformat()) == moment


def test_needs_are_in_the_order_of_the_file_each_once() -> None:
    """So that a pull can leave them where they are."""
    found = read(a_task("c"), a_task("b"), a_task(needs=["c", " b", "c"], priority=0)).tasks[2]
    assert (found.needs, found.priority) == (("c", "b"), 0)


def test_each_circle_of_needs_is_one_fault_at_its_first_needed_task() -> None:
    """Also through parents; what only waits for a circle is no part of it."""
    found = faults_of(
        a_task("tail", needs=["b"]),
        a_task("x"),
        a_task("b", needs=["x", "c"]),
        a_task("c", needs=["b"]),
        a_task("epic", needs=["kid"]),
        a_task("kid", parent="epic"),
    )
    assert [(fault.task, fault.key, fault.item) for fault in found] == [(2, "needs", 1), (4, "needs", 0)]
    assert found[0].problem.endswith("in a circle: b → c → b")


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
    assert not read(a_task("b", needs=["a"]), a_task("a")).has_names_of_town
    assert read(a_task(parent="x", needs=["y", "z", "y"])).names_outside() == ["x", "y", "z"]
    assert read(a_task("550E8400-e29b-41d4-a716-446655440000")).has_names_of_town
    assert not is_uuid("550e8400")


def test_long_circle_is_told_in_short() -> None:
    """How many tasks it has, the first and the last; 3,000 ids would fill the terminal."""
    tasks = [{"id": f"t{number}", "description": "x", "parent": f"t{(number + 1) % 3_001}"} for number in range(3_001)]
    [fault] = read_plan({"tasks": tasks})[1]
    assert fault.problem == ("its parent lies below it, in a circle of 3,001: t0 → t1 → t2 → t3 → t4 → … → t3000 → t0")
