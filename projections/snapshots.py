"""The canonical snapshot: a task as JSON at `tt:<town>:task:<uuid>`, as Tinytown documents it (DESIGN 5). Pure.

The same task is the same bytes on every machine: fields in one order, times from positions, tags sorted.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from ledger import Position, SnapshotDamagedError, State, Task, format_ms, parse_rfc3339

NAME: Final = "task"
SCHEMA_VERSION: Final = 1


class Snapshot(Struct, frozen=True, kw_only=True):
    """The JSON's fields, all present, null where empty. Times are RFC 3339, UTC, milliseconds, `Z`."""

    id: str
    description: str
    state: State
    assigned_to: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    result: str | None
    parent_id: str | None
    tags: tuple[str, ...]
    alias: str | None
    version: int
    position: str


_decoder = msgspec.json.Decoder(Snapshot)
_encoder = msgspec.json.Encoder()


def snapshot_of(task: Task) -> Snapshot:
    return Snapshot(
        id=task.id,
        description=task.description,
        state=task.state,
        assigned_to=task.assigned_to,
        created_at=format_ms(task.created_at_ms),
        updated_at=format_ms(task.updated_at_ms),
        started_at=_format_optional(task.started_at_ms),
        completed_at=_format_optional(task.completed_at_ms),
        result=task.result,
        parent_id=task.parent_id,
        tags=task.tags,
        alias=task.alias,
        version=task.version,
        position=str(task.position),
    )


def encode_snapshot(task: Task) -> bytes:
    return _encoder.encode(snapshot_of(task))


def decode_snapshot(snapshot: bytes, *, key: str) -> Task:
    """The task in a snapshot, but for its `number`; SnapshotDamagedError where it is none. `key` is named in messages."""
    try:
        fields = _decoder.decode(snapshot)
        return Task(
            id=fields.id,
            description=fields.description,
            state=fields.state,
            created_at_ms=parse_rfc3339(fields.created_at),
            updated_at_ms=parse_rfc3339(fields.updated_at),
            version=fields.version,
            position=Position.parse(fields.position),
            assigned_to=fields.assigned_to,
            started_at_ms=_parse_optional(fields.started_at),
            completed_at_ms=_parse_optional(fields.completed_at),
            result=fields.result,
            parent_id=fields.parent_id,
            tags=fields.tags,
            alias=fields.alias,
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SnapshotDamagedError(key, f"does not hold a snapshot: {error}") from error


def _format_optional(ms: int | None) -> str | None:
    return None if ms is None else format_ms(ms)


def _parse_optional(time: str | None) -> int | None:
    return None if time is None else parse_rfc3339(time)
