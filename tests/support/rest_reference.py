"""Writes `docs/reference/rest.md` from the OpenAPI document: `python -m tests.support.rest_reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.support.markdown import DOCS
from web.app import DOCUMENTED, ROOT
from web.openapi import document

PAGE: Final = DOCS / "reference" / "rest.md"
_HEAD: Final = """\
# REST

`tt serve` answers under `/api/v1`. This page is made from its OpenAPI 3.1 document by `make docs`; do not change it by hand.
The document itself is at `/api/v1/openapi.json`: give it to a generator of clients.

- **A moment.** Reads take `at`, a [WHEN](when.md): any answer can be had of the past. `/diff` and `/steps` name their moments themselves, and `/timeline` is of the town's whole life.
- **What is known.** Most reads have an `ETag`, the position that they show. With `If-None-Match` the answer is 304 as long as nothing has changed.
- **Pages.** `has_more` says that there is more, and `next` has the parameters of the next page.
- **Commands.** A write is a POST with a body of JSON, `Content-Type: application/json`. Its answer is a receipt: the task after the command, and the positions of its events. There are none if all was so already.
- **Only at a version.** With `If-Match: "3"` a command is carried out only if the task has version 3. Else the answer is 409, with `expected`, `actual`, and the `task` as it is now. `POST /tasks` and `POST /undo` are about no version, and refuse the header.
- **Once.** `Idempotency-Key` is a UUID of your own, and becomes the id of the command. Send a request again with the same key if you had no answer: it appends nothing, and gets the receipt of the first time. A command that was refused wrote nothing, so its key can be used again. Use a new key for each command.
- **Who.** With `--token-file` each request needs `Authorization: Bearer TOKEN`, and the token's name is the actor. Without, only this machine reaches the server, and acts as who started it. No site but the server's own page may ask; a link on another site opens the page.
- **Errors** are problems of RFC 9457, `application/problem+json`: `detail` is what `tt` says, `error` the error's name, and its facts stand beside it. After 503 the command may have been carried out: send it again with its key.
- **Several towns.** With `--all`, `/api/v1/towns` lists them, and every path below is also at `/api/v1/towns/TOWN`. Without a town it is the first one.
- **JSON.** Answers are those of `--json`: [JSON](json.md) describes them. Limits are in [Limits](limits.md#the-board-in-the-browser).
"""


def reference() -> str:
    """The page: each operation with its parameters, its body and its answer, then the answers."""
    told = document(DOCUMENTED)
    schemas = told["components"]["schemas"]
    bodies = {each.given.__name__ for each in DOCUMENTED}
    answers = [name for name in schemas if name not in bodies and "enum" not in schemas[name]]
    sections = [
        section
        for path, operations in told["paths"].items()
        for method, operation in operations.items()
        for section in _operation(method, path, operation, schemas)
    ]
    named = [line for name in sorted(answers) for line in _answer(name, schemas)]
    return "\n".join([_HEAD, *sections, "## Answers", "", *named]).rstrip() + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {method.upper()} {ROOT}{path}"
    yield ""
    [media, content] = next(iter(operation["responses"]["200"]["content"].items()))
    answer = content["schema"]["$ref"].rpartition("/")[2]
    stream = ", as server-sent events" if media == "text/event-stream" else ""
    yield f"{operation['summary']} Answer: [{answer}](#{answer.lower()}){stream}."
    yield ""
    rows = [
        (each["name"], each["schema"], each["required"], each.get("description", ""))
        for each in operation["parameters"]
        if each["in"] == "query"
    ]
    if "requestBody" in operation:
        body = schemas[operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        rows = [
            (name, each, name in body.get("required", ()), each.get("description", ""))
            for name, each in body["properties"].items()
        ]
    yield from _table("field of the body" if "requestBody" in operation else "parameter", rows, schemas)


def _answer(name: str, schemas: Mapping[str, Any]) -> Iterator[str]:
    schema = schemas[name]
    yield f"### {name}"
    yield ""
    yield schema.get("description", "").replace("\n", " ")
    yield ""
    rows = [
        (each, it, each in schema.get("required", ()), it.get("description", ""))
        for each, it in schema["properties"].items()
    ]
    yield from _table("field", rows, schemas)


def _table(
    what: str, rows: list[tuple[str, Mapping[str, Any], bool, str]], schemas: Mapping[str, Any]
) -> Iterator[str]:
    if not rows:
        return
    yield f"| {what} | type | what it is |"
    yield "| --- | --- | --- |"
    for name, schema, is_required, words in rows:
        note = {(True, False): "Needed.", (False, True): "Not always there."}.get((is_required, what == "field"), "")
        yield f"| `{name}` | {_type(schema, schemas)} | {' '.join(filter(None, (words, note)))} |"
    yield ""


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _type(schemas[name], schemas) if "enum" in schemas[name] else name
    if "anyOf" in schema:
        return " or ".join(_type(each, schemas) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), schemas)}"
    return f"{kind}, {schema['minimum']:,} to {schema['maximum']:,}" if "minimum" in schema else str(kind)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
