"""The canonical snapshot: a task as JSON at `tt:<town>:task:<uuid>`, as Tinytown documents it (DESIGN 5). Pure.

The same task is the same bytes on every machine: fields in one order, times from positions, tags sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger import Position, State, Task, format_ms, parse_rfc3339
from projections.errors import SnapshotDamagedError

NAME: Final = "task"
SCHEMA_VERSION: Final = 1
OLD_FIELDS: Final = ("id", "description", "state")


class Snapshot(Struct, frozen=True):
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
    damaged_at: str | UnsetType = UNSET
    """Only of a task with an event that no command can make: the position of the first."""


_decoder = msgspec.json.Decoder(Snapshot)
_encoder = msgspec.json.Encoder()


def snapshot_of(task: Task) -> Snapshot:
    return Snapshot(
        task.id,
        task.description,
        task.state,
        task.assigned_to,
        format_ms(task.created_at_ms),
        format_ms(task.updated_at_ms),
        None if task.started_at_ms is None else format_ms(task.started_at_ms),
        None if task.completed_at_ms is None else format_ms(task.completed_at_ms),
        task.result,
        task.parent_id,
        task.tags,
        task.alias,
        task.version,
        task.at,
        UNSET if task.damaged_at is None else task.damaged_at,
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
            at=str(Position.parse(fields.position)),
            assigned_to=fields.assigned_to,
            started_at_ms=_parse_optional(fields.started_at),
            completed_at_ms=_parse_optional(fields.completed_at),
            result=fields.result,
            parent_id=fields.parent_id,
            tags=fields.tags,
            alias=fields.alias,
            damaged_at=None if isinstance(fields.damaged_at, UnsetType) else str(Position.parse(fields.damaged_at)),
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        from ledger import json_problem  # noqa: PLC0415 - for a message only

        raise SnapshotDamagedError(key, f"does not hold a snapshot: {json_problem(snapshot, error)}") from error


def is_snapshot(content: bytes) -> bool:
    """Whether a string is a whole snapshot of a ledger's, of whatever task and position."""
    try:
        decode_snapshot(content, key="")
    except SnapshotDamagedError:
        return False
    return True


def is_old_record(snapshot: bytes | None, fields: Sequence[bytes | None]) -> bool:
    """Whether a key holds a task from before the ledger: a JSON string, or a hash, of which `fields` has OLD_FIELDS.

    A snapshot of the ledger has a position besides.
    """
    try:
        record = msgspec.json.decode(snapshot or b"null")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if isinstance(record, dict):
        return all(field in record for field in OLD_FIELDS) and not has_position(record)
    return bool(fields) and None not in fields


def has_position(fields: Mapping[str, object]) -> bool:
    """Whether these fields of a JSON have the position of an event, as a snapshot's do, whole or not."""
    position = fields.get("position")
    if not isinstance(position, str):
        return False
    try:
        Position.parse(position)
    except ValueError:
        return False
    return True


def _parse_optional(time: str | None) -> int | None:
    return None if time is None else parse_rfc3339(time)
