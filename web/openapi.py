"""The OpenAPI document of the REST interface, made from the table of endpoints. Pure."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from web.answer_types import Problem
from web.answers import JSON
from web.endpoints import Endpoint
from web.problems import PROBLEM

PATH: Final = "/openapi.json"
PARAMETER_OF_PATH: Final = "task"
_DISTRIBUTION: Final = "tinytown-ledger"
_REFERENCE: Final = "#/components/schemas/{name}"
_WORDS: Final = (
    "A town's tasks and their whole past. Every read shows any moment with `at`. Errors are problems of RFC 9457, with the"
    " words of `tt`. Where a server serves several towns, the paths of each also begin at `/api/v1/towns/{town}`."
)
_TASK: Final = "A task: its id, the beginning of its id, or its alias."
_MATCH: Final = 'Carry it out only if the task has this version: `If-Match: "3"`. Else the answer is 409.'
_KEY: Final = (
    "A UUID: the id of the command. A request that is repeated with it appends nothing, and gets the same receipt."
)
_KNOWN: Final = "The `ETag` of an answer that is known already: 304 if nothing has changed."
_PARAMETERS: Final = {
    "state": "In one of these states.",
    "agent": "Of this agent.",
    "tag": "With all of these tags.",
    "not_tag": "With none of these tags.",
    "parent": "Right below this task.",
    "priority": "Of one of these priorities; 0 is the most urgent.",
    "overdue": "Only open tasks whose time is over.",
    "sort": "By what they are sorted.",
    "reverse": "The last ones first.",
    "fields": "All fields of each task, or only those of a card.",
    "to": "The second moment.",
    "task": "Only of this task.",
    "before": "Only before this moment. `next` has it for the next page.",
    "since": "Only from this moment on.",
    "until": "Only up to this moment.",
    "actor": "Only by this actor.",
    "type": "Only of this type, such as `task.completed`.",
    "limit": "At most so many.",
    "explain": "Also say why each comes where it does, and what the others wait for.",
    "q": "Words that all stand in a task's texts.",
    "ever": "Also in texts that were replaced since, and of removed tasks.",
    "by": "What the tasks of a column share.",
}
"""What parameters mean that say nothing themselves."""
_FIELDS: Final = {
    "reason": "Why. It stands with the events.",
    "description": "What is to be done. Its first line is the title.",
    "agent": "Who.",
    "tags": "Tags.",
    "parent": "The task right above, by id or alias.",
    "alias": "A name of your own for the task. A second creation with it makes nothing.",
    "due": "When it should be done: RFC 3339, a day, or `3d` from now.",
    "not_before": "When work on it may begin at the earliest, as `due`.",
    "needs": "The tasks that must be completed before, by id or alias.",
    "result": "What came of it.",
    "error": "What went wrong.",
    "text": "The words.",
    "add": "Tags to add.",
    "remove": "Tags to take away.",
    "to": "The other tasks, by id or alias.",
    "kind": "What kind of link it is.",
    "question": "The question.",
    "choices": "Answers to choose from.",
    "is_other": "Whether the answer is none of the choices.",
    "event": "An event of the command, by number or position; or a task, for its last command.",
}
"""What fields of bodies mean that say nothing themselves."""
_REFUSED: Final = {
    "400": "The request does not fit.",
    "401": "A token is needed.",
    "403": "This client may not do that.",
    "404": "There is no such task, moment or town.",
    "409": "The task or the town has changed. Of a task it says `expected`, `actual`, and the `task` as it is now.",
    "410": "The task is removed.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The command is refused.",
    "503": "The server does not answer. Try again; a command first needs a look, or an `Idempotency-Key`.",
}
_OF_WRITES: Final = frozenset({"409", "410", "413", "415"})


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document, as OpenAPI 3.1 has it. The paths begin at its server, `/api/v1`."""
    types = [*dict.fromkeys([each.given for each in endpoints] + [each.answer for each in endpoints]), Problem]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    _describe([schemas[each.given.__name__] for each in endpoints if each.is_writing])
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    given = {each.given.__name__ for each in endpoints if not each.is_writing}
    return {
        "openapi": "3.1.0",
        "info": {"title": "tt serve", "version": importlib.metadata.version(_DISTRIBUTION), "description": _WORDS},
        "servers": [{"url": "/api/v1"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in sorted(schemas.items()) if name not in given},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation_id(endpoint: Endpoint) -> str:
    """The method and the path in one word, such as `post_tasks_task_note`."""
    parts = [part.strip("{}").replace(".", "_") for part in endpoint.path.split("/") if part]
    return "_".join([endpoint.method.lower(), *(parts or ["town"])])


def parameters_of(endpoint: Endpoint, schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters of an endpoint: in its path, its query and its headers."""
    if f"{{{PARAMETER_OF_PATH}}}" in endpoint.path:
        yield _parameter(PARAMETER_OF_PATH, "path", {"type": "string", "minLength": 1}, _TASK, is_required=True)
    if endpoint.is_writing:
        if f"{{{PARAMETER_OF_PATH}}}" in endpoint.path:
            yield _parameter("If-Match", "header", {"type": "string", "pattern": '^("[0-9]{1,15}"|\\*)$'}, _MATCH)
        yield _parameter("Idempotency-Key", "header", {"type": "string", "format": "uuid"}, _KEY)
        return
    schema = schemas[endpoint.given.__name__]
    for name, each in schema["properties"].items():
        plain = _without_null(each)
        words = plain.pop("description", None) or _PARAMETERS.get(name)
        yield _parameter(name, "query", plain, words, is_required=name in schema.get("required", ()))
    yield _parameter("If-None-Match", "header", {"type": "string"}, _KNOWN)


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.words,
        "parameters": list(parameters_of(endpoint, schemas)),
        "responses": dict(_responses(endpoint)),
    }
    if endpoint.is_writing:
        body = {"schema": {"$ref": _REFERENCE.format(name=endpoint.given.__name__)}}
        operation["requestBody"] = {"required": bool(_required(endpoint, schemas)), "content": {JSON: body}}
    return operation


def _required(endpoint: Endpoint, schemas: dict[str, Any]) -> Sequence[str]:
    required: Sequence[str] = schemas[endpoint.given.__name__].get("required", ())
    return required


def _responses(endpoint: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    content = {endpoint.media: {"schema": {"$ref": _REFERENCE.format(name=endpoint.answer.__name__)}}}
    words = {"description": (endpoint.answer.__doc__ or "").strip().splitlines()[0], "content": content}
    yield "200", words if endpoint.is_writing else words | {"headers": {"ETag": {"schema": {"type": "string"}}}}
    if endpoint.is_creating:
        yield "201", words | {"headers": {"Location": {"schema": {"type": "string"}}}}
    if not endpoint.is_writing:
        yield "304", {"description": "Nothing has changed since the `ETag` that the client knows."}
    problem = {PROBLEM: {"schema": {"$ref": _REFERENCE.format(name=Problem.__name__)}}}
    for status, refused in _REFUSED.items():
        if endpoint.is_writing or status not in _OF_WRITES:
            yield status, {"description": refused, "content": problem}
    yield "default", {"description": "Another problem.", "content": problem}


def _parameter(
    name: str, place: str, schema: dict[str, Any], words: str | None, *, is_required: bool = False
) -> dict[str, Any]:
    made = {"name": name, "in": place, "required": is_required, "schema": schema}
    return made if words is None else made | {"description": words}


def _describe(bodies: Sequence[dict[str, Any]]) -> None:
    """Say what each field of these bodies is."""
    for schema in bodies:
        for name, each in schema["properties"].items():
            each.setdefault("description", _FIELDS.get(name, ""))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that is there: a query has no null, and leaves out what is not given."""
    plain = {key: value for key, value in schema.items() if key != "default" or value not in (None, [])}
    kinds = [each for each in plain.pop("anyOf", ()) if each != {"type": "null"}]
    assert len(kinds) <= 1, "a parameter is of one kind"
    return plain | (kinds[0] if kinds else {})
