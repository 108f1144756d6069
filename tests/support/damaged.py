"""Writes events that no command can make, as somebody with access to the server could: with the right `prev` and head."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import redis

from ledger import EventStore, Keys
from tests.support.builders import task_id

Fields = dict[str, Any]


def add_by_hand(client: redis.Redis, keys: Keys, task: str, *, ms: int | None = None, **fields: Any) -> str:
    """Append a `task.noted` of `task`, at the last event's time or at `ms`; any field may be given. Its position."""
    store = EventStore(client, keys)
    end = store.end()
    position = f"{end.ms if ms is None else ms}-{end.seq + 1}"
    head = cast("bytes | None", client.hget(keys.heads, task))
    version, _, prev = (b"0" if head is None else head).decode().partition(":")
    event: Fields = {
        "prev": prev or None,
        "type": "task.noted",
        "schema": 1,
        "task": task,
        "version": int(version) + 1,
        "actor": "mallory",
        "command": "by hand",
        "data": {"text": "x"},
    }
    client.xadd(keys.ledger, {"event": msgspec.json.encode(event | fields)}, id=position)
    client.hset(keys.heads, task, f"{int(version) + 1}:{position}")
    return position


def creation(**data: Any) -> Fields:
    """The fields of a creation; any of its data may be given."""
    return {"type": "task.created", "schema": 2, "data": {"description": "By hand", "tags": []} | data}


def fact(name: str, **data: Any) -> Fields:
    return {"type": f"task.{name}", "schema": 1, "data": data}


LONG_TEXT = "x" * (64 * 1024 + 1)
ADOPTION = {
    "records": [],
    "description": "Old",
    "state": "pending",
    "created_at": "2025-06-01T10:00:00.000Z",
    "updated_at": "2025-06-01T10:00:00.000Z",
}

BAD_IDS = ("../../etc", "", "550E8400-E29B-41D4-A716-446655440000", "\x1b]0;x\x07", "x" * 10_000, "550e8400", "日本")
"""What no task is called."""

BAD_CREATIONS: dict[str, Fields] = {
    "empty description": creation(description=""),
    "blank description": creation(description=" \n\t"),
    "description of blanks that are not ASCII": creation(description="\u2003\u2003"),
    "NUL in the description": creation(description="a\0b"),
    "long description": creation(description=LONG_TEXT),
    "many bytes of few characters": creation(description="日" * 30_000),
    "escape in a tag": creation(tags=["\x1b[31m"]),
    "blank tag": creation(tags=[" "]),
    "untrimmed tag": creation(tags=[" a"]),
    "long tag": creation(tags=["x" * 65]),
    "tags out of order": creation(tags=["b", "a"]),
    "a tag twice": creation(tags=["a", "a"]),
    "escape in the alias": creation(alias="\x1b]0;x\x07"),
    "empty alias": creation(alias=""),
    "untrimmed alias": creation(alias="bd-9 "),
    "parent that is no id": creation(parent_id="../../etc"),
    "below itself": creation(parent_id=task_id(50)),
    "empty actor": creation() | {"actor": ""},
    "escape in the actor": creation() | {"actor": "\x1b[2J"},
    "line break in the actor": creation() | {"actor": "a\nb"},
    "untrimmed actor": creation() | {"actor": " ada"},
    "long actor": creation() | {"actor": "x" * 129},
    "direction in the actor": creation() | {"actor": "a\u202eb"},
    "empty reason": creation() | {"reason": ""},
    "occurred at no time": creation() | {"occurred_at": "yesterday"},
    "occurred at a time without a zone": creation() | {"occurred_at": "2026-01-01T00:00:00"},
    "cause that is no position": creation() | {"cause": "\x1b[31m"},
    "no description": {"type": "task.created", "schema": 2, "data": {}},
    "old schema, bad tag": {"type": "task.created", "schema": 1, "data": {"description": "a", "tags": ["\x1b"]}},
    "adopted at no time": {"type": "task.adopted", "schema": 1, "data": ADOPTION | {"created_at": "yesterday"}},
    "adopted, escape in the agent": {"type": "task.adopted", "schema": 1, "data": ADOPTION | {"assigned_to": "\x1b"}},
    "started first": fact("started"),
    "noted first": fact("noted", text="x"),
}
"""First events of task 50 that no command can make."""

BAD_EVENTS: dict[str, tuple[str, Fields]] = {
    "completed while pending": ("pending", fact("completed", result="x")),
    "started while pending": ("pending", fact("started")),
    "failed while assigned": ("assigned", fact("failed")),
    "requeued while pending": ("pending", fact("requeued")),
    "reopened while running": ("running", fact("reopened")),
    "described when finished": ("completed", fact("described", description="x")),
    "moved when finished": ("failed", fact("moved", parent_id=None)),
    "assigned when finished": ("cancelled", fact("assigned", agent="bob")),
    "cancelled when finished": ("completed", fact("cancelled")),
    "created again": ("running", creation()),
    "adopted again": ("running", {"type": "task.adopted", "schema": 1, "data": ADOPTION}),
    "noted after removal": ("removed", fact("noted", text="x")),
    "empty agent": ("pending", fact("assigned", agent="")),
    "escape in the agent": ("pending", fact("assigned", agent="\x1b[31mbob")),
    "untrimmed agent": ("pending", fact("assigned", agent="bob ")),
    "long agent": ("pending", fact("assigned", agent="x" * 129)),
    "empty note": ("running", fact("noted", text="")),
    "long result": ("running", fact("completed", result=LONG_TEXT)),
    "empty result": ("running", fact("completed", result="")),
    "empty error": ("running", fact("failed", error="")),
    "blank reason": ("running", fact("cancelled", reason=" ")),
    "NUL in a note": ("running", fact("noted", text="a\0")),
    "escape in an added tag": ("pending", fact("tagged", added=["\x1b"], removed=[])),
    "added and removed": ("pending", fact("tagged", added=["a"], removed=["a"])),
    "moved below itself": ("assigned", fact("moved", parent_id="SELF")),
    "moved below no id": ("assigned", fact("moved", parent_id="/etc")),
    "removed, reason of blanks": ("running", fact("removed") | {"reason": "\n"}),
    "occurred at no time": ("running", fact("noted", text="x") | {"occurred_at": 5}),
    "no text": ("running", {"type": "task.noted", "schema": 1, "data": {}}),
    "text that is a number": ("running", fact("noted", text=5)),
}
"""The name of a task of the scene, and an event of it that no command can make."""
