"""The OpenAPI document: what it says of requests and answers is true."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

from tests.web.conftest import HOST
from town import Town
from web.app import DOCUMENTED, make_app
from web.towns import ServedTown, Towns

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

EXAMPLES: Final = 300 if os.environ.get("TT_STRESS") else 6
"""Of each operation."""
DOCUMENT: Final = "/api/v1/openapi.json"
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
QUESTIONS: Final = (
    "/",
    "/towns",
    "/tasks",
    "/tasks?fields=card",
    "/tasks/{task}",
    "/tasks/{task}/history",
    "/tasks/{task}/output",
    "/log",
    "/board",
    "/board?by=parent",
    "/steps?after=0",
    "/timeline",
    "/charts",
)
ENDLESS: Final = "/events"
QUERIES: Final = {"/diff": {"from": "3"}, "/steps": {"after": "3"}}
BODIES: Final = {
    "/undo": {"event": "110"},
    "/tasks/{task}/prioritise": {"priority": 0},
    "/tasks/{task}/tag": {"add": ["x"]},
    "/tasks/{task}/move": {"parent": None},
}
"""What a request needs that chance does not find."""


@pytest.fixture
def app(town: Town) -> Iterator[Any]:
    """The application, asked under the name that the tests of requests use."""
    with closing(Towns({"shown": ServedTown(town.folder, "shown", actor=None)})) as towns:
        yield make_app(towns, hosts=[HOST, "testserver"])


def test_random_requests_find_no_fault_of_the_server(app: Any, town: Town) -> None:
    """Every answer has a status, a type and a shape that the document names, and none is a fault of the server."""
    schema = schemathesis.openapi.from_asgi(DOCUMENT, app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(DOCUMENTED)
    known = [task.id for task in town.page(limit=5).tasks]
    statuses = {operation.label: answers_of(operation, known) for operation in operations if operation.path != ENDLESS}
    assert not {label for label, found in statuses.items() if not found & {200, 201, 409, 410, 422}}
    assert not town.upkeep.verify().findings


@pytest.mark.parametrize("path", QUESTIONS)
def test_every_field_of_an_answer_is_told(client: TestClient, town: Town, path: str) -> None:
    """Also of the past, and of tasks with all that a task can have."""
    town.create("above", alias="above")
    town.create("needed", alias="needed")
    town.create("all of it", alias="whole", parent="above", needs=["needed"], tags=["a"], priority=1)
    town.ask("whole", "which?", choices=["one", "two"])
    town.note("whole", "a note")
    town.annotator.annotate(town.end(), "on an event")
    told = client.get(DOCUMENT).json()
    asked, _, query = path.partition("?")
    operation = told["paths"][asked]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    end = town.end().seq
    for at in (
        ("", f"at={end}", f"at={end - 3}") if any(each["name"] == "at" for each in operation["parameters"]) else ("",)
    ):
        answer = client.get(f"/api/v1{asked.format(task='whole')}?{'&'.join(filter(None, (query, at)))}")
        assert answer.status_code == 200, answer.text
        assert sorted(untold(answer.json(), schema, told["components"]["schemas"])) == []


def test_answer_to_a_command_is_told(client: TestClient, town: Town) -> None:
    """A receipt, and a conflict, which is a problem with facts."""
    told = client.get(DOCUMENT).json()["components"]["schemas"]
    made = client.post("/api/v1/tasks", json={"description": "new"})
    assert list(untold(made.json(), told["Receipt"], told)) == []
    refused = client.post(
        f"/api/v1/tasks/{town.page(limit=1).tasks[0].id}/note", json={"text": "x"}, headers={"If-Match": '"99"'}
    )
    assert told["Problem"]["required"] == ["type", "title", "status", "detail"]
    assert set(told["Problem"]["required"]) <= set(refused.json())


def untold(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The fields of a value that the schema does not name."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for kind in schema.get("anyOf", ()):
        if kind.get("type") != "null":
            schema = schemas[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    if isinstance(value, list):
        for each in value:
            yield from untold(each, schema.get("items", {}), schemas, f"{at}[]")
    if isinstance(value, dict) and "properties" in schema:
        for name, each in value.items():
            if name not in schema["properties"]:
                yield f"{at}.{name}"
            else:
                yield from untold(each, schema["properties"][name], schemas, f"{at}.{name}")


def answers_of(operation: Any, known: list[str]) -> set[int]:
    """The statuses of answers to random requests for an operation; most of those for a task are for one that is there."""
    statuses: set[int] = set()
    there = iter([*known, ""] * EXAMPLES)
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="TT_STRESS" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        task = next(there)
        if task and "task" in (case.path_parameters or {}):
            case.path_parameters["task"] = task
        if task == known[0]:
            case.headers = {}
            case.query = QUERIES.get(operation.path, case.query)
            case.body = BODIES.get(operation.path, case.body)
            if operation.path.endswith("link"):
                case.body = {"to": [known[1]]}
        statuses.add(case.call_and_validate(checks=checks).status_code)

    ask()
    return statuses
