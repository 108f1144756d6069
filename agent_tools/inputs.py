"""The input of each tool, and what the client is told of it: a name, a line of words, and a small schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ledger import PRIORITY_MAX, State

ROWS: Final = 20
ROWS_MAX: Final = 100

Task = Annotated[str, Meta(description="Id, its beginning, or alias")]
Limit = Annotated[int, Meta(ge=1, le=ROWS_MAX)]
Cursor = Annotated[str, Meta(description="Next page: from the last answer")]
When = Annotated[str, Meta(description="Event number, time, or age such as 2h")]
Priority = Annotated[int, Meta(ge=0, le=PRIORITY_MAX, description="0 most urgent")]
Time = Annotated[str, Meta(description="Time, or 2h from now; none clears")]
Expect = Annotated[int, Meta(ge=0, description="Refuse unless the task has this version")]
Links = Annotated[list[str], Meta(description="Tasks to complete first")]


class Outcome(StrEnum):
    """How work on a task ended."""

    COMPLETED = "completed"
    FAILED = "failed"


class Step(StrEnum):
    """What happens to a task, other than that its work ends."""

    START = "start"
    CLAIM = "claim"
    REQUEUE = "requeue"
    REOPEN = "reopen"
    CANCEL = "cancel"


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tool is given. A field that is left out, or null, is None."""


class Ready(Input, frozen=True):
    """Of `task_ready`."""

    agent: Annotated[str | None, Meta(description="Its own tasks first; default: you")] = None
    tags: list[str] = []
    limit: Limit = ROWS
    cursor: Cursor | None = None


class Next(Input, frozen=True):
    """Of `task_next`."""

    start: bool = True
    tags: list[str] = []
    agent: Annotated[str | None, Meta(description="Default: you")] = None


class Show(Input, frozen=True):
    """Of `task_show`."""

    task: Task
    at: When | None = None


class Create(Input, frozen=True):
    """Of `task_create`."""

    text: Annotated[str, Meta(description="First line: the title")]
    tags: list[str] = []
    priority: Priority | None = None
    due: Time | None = None
    not_before: Time | None = None
    needs: Links = []
    parent: Task | None = None
    alias: Annotated[
        str | None, Meta(description="Unique name; makes a repeated call do nothing, if times are dates, not 2h")
    ] = None
    agent: Annotated[str | None, Meta(description="Who shall do it; default: nobody yet")] = None


class Update(Input, frozen=True):
    """Of `task_update`: each field is a change, made in the order of the fields."""

    task: Task
    step: Step | None = None
    agent: Annotated[str | None, Meta(description="Assign to; with start or claim: who, default you")] = None
    note: Annotated[str | None, Meta(description="Progress, to be kept")] = None
    text: str | None = None
    add_tags: list[str] = []
    remove_tags: list[str] = []
    priority: Priority | None = None
    due: Time | None = None
    not_before: Time | None = None
    needs: Links = []
    needs_no_more: list[str] = []
    parent: Annotated[str | None, Meta(description="Task, or none")] = None
    reason: str | None = None
    expect: Expect | None = None


class Finish(Input, frozen=True):
    """Of `task_finish`."""

    task: Task
    outcome: Outcome
    text: Annotated[str | None, Meta(description="The result, or what went wrong")] = None
    expect: Expect | None = None


class Ask(Input, frozen=True):
    """Of `task_ask`."""

    task: Task
    question: str
    choices: list[str] = []


class Log(Input, frozen=True):
    """Of `task_log`."""

    task: Task | None = None
    limit: Limit = ROWS
    cursor: Cursor | None = None


class Board(Input, frozen=True):
    """Of `board_at`."""

    at: When | None = None
    state: State | None = None
    agent: str | None = None
    tag: str | None = None
    parent: Task | None = None
    limit: Limit = ROWS
    cursor: Cursor | None = None


class Search(Input, frozen=True):
    """Of `task_search`."""

    words: Annotated[str, Meta(description="A task has all of them")]
    at: When | None = None
    limit: Limit = ROWS
    cursor: Cursor | None = None


class Tool(Struct, frozen=True):
    """A tool as clients see it."""

    name: str
    words: str
    input: type[Input]
    is_reading: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its input, without what a model has no use for."""
        [found], parts = msgspec.json.schema_components([self.input], ref_template="{name}")
        schema = parts[found["$ref"]]
        fields = {name: _small(each, parts) for name, each in schema["properties"].items()}
        required = {"required": schema["required"]} if schema["required"] else {}
        return {"type": "object", "properties": fields, **required, "additionalProperties": False}


def _small(field: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without null, titles and defaults that say nothing."""
    kinds = [each for each in field.get("anyOf", ()) if each != {"type": "null"}]
    if kinds:
        return _small({**{key: each for key, each in field.items() if key != "anyOf"}, **kinds[0]}, parts)
    if "$ref" in field:
        return {"enum": parts[field["$ref"]]["enum"]}
    return {key: each for key, each in field.items() if key != "default" or each not in (None, [])}


TOOLS: Final = (
    Tool("task_ready", "Tasks that can be begun now, best first.", Ready, is_reading=True),
    Tool("task_next", "Take the first ready task; no other agent gets it.", Next),
    Tool("task_show", "One task, whole: text, links, blockers, question, notes, children.", Show, is_reading=True),
    Tool("task_create", "Create a task.", Create),
    Tool(
        "task_update",
        "Change a task: what is given, in the order of the fields. Stops at the first refusal, and says what was done.",
        Update,
    ),
    Tool("task_finish", "End your work on a task.", Finish),
    Tool("task_ask", "Ask people about a task. It waits until they answer; take another one meanwhile.", Ask),
    Tool("task_log", "Events of a task, or of all, newest first.", Log, is_reading=True),
    Tool("board_at", "Counts and tasks, now or at a moment.", Board, is_reading=True),
    Tool("task_search", "Tasks with these words in their texts, best first.", Search, is_reading=True),
)
