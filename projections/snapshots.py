"""The canonical snapshot: a task as JSON at `tt:<town>:task:<uuid>`, as Tinytown documents it (DESIGN 5). Pure.

The same task is the same bytes on every machine: fields in one order, times from positions, tags sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ledger import FIELDS, Field, Position, Task, format_ms, parse_rfc3339
from projections.errors import SnapshotDamagedError

NAME: Final = "task"
SCHEMA_VERSION: Final = 1
OLD_FIELDS: Final = ("id", "description", "state")


_OR_NONE: Final = " | None"


def _type_of(field: Field) -> str:
    """The type of a field in `Task` as text: resolving all of them takes longer than everything else here."""
    written: str = Task.__annotations__[field.attribute]
    return written


def _is_optional(field: Field) -> bool:
    return _type_of(field).endswith(_OR_NONE)


def _in_struct(field: Field) -> tuple[str, Any] | tuple[str, Any, Any]:
    """A field of the struct: name and type, and a default if the JSON may leave it out. Such a field is never `null`."""
    in_json = _type_of(field).removesuffix(_OR_NONE) if field.form == "plain" else "str"
    if not field.is_always_there:
        return field.name, in_json, field.empty
    return field.name, f"{in_json}{_OR_NONE}" if _is_optional(field) else in_json


if TYPE_CHECKING:

    class Snapshot(Struct, frozen=True):
        """The fields of the JSON, in their order. Times are RFC 3339, UTC, milliseconds, `Z`."""

else:
    # msgspec looks up the names of types in this module.
    Snapshot = msgspec.defstruct(
        "Snapshot", map(_in_struct, FIELDS), module=Task.__module__, frozen=True, omit_defaults=True
    )

_decoder = msgspec.json.Decoder(Snapshot)
_encoder = msgspec.json.Encoder()


def _value_in_json(field: Field) -> str:
    value = f"task.{field.attribute}"
    if field.form != "time":
        return value
    return f"None if {value} is None else format_ms({value})" if _is_optional(field) else f"format_ms({value})"


def _value_in_task(field: Field) -> str:
    value = f"fields.{field.name}"
    if field.form == "plain":
        return value
    parsed = f"parse_rfc3339({value})" if field.form == "time" else f"str(Position.parse({value}))"
    return f"None if {value} is None else {parsed}" if _is_optional(field) else parsed


_NAMED: Final = {
    "Snapshot": Snapshot,
    "Task": Task,
    "Position": Position,
    "format_ms": format_ms,
    "parse_rfc3339": parse_rfc3339,
}
"""The names that the expressions use."""


def _function(of: str, body: str) -> Callable[[Any], Any]:
    """A function made once from an expression: a loop over the fields takes one and a half times as long per task."""
    made: Callable[[Any], Any] = eval(f"lambda {of}: {body}", {**_NAMED})  # noqa: S307 - of our own fields' names
    return made


snapshot_of: Final[Callable[[Task], Snapshot]] = _function(
    "task", f"Snapshot({', '.join(map(_value_in_json, FIELDS))})"
)
"""The snapshot of a task, before it is JSON."""
_task_of: Final[Callable[[Snapshot], Task]] = _function(
    "fields", f"Task({', '.join(f'{field.attribute}={_value_in_task(field)}' for field in FIELDS)})"
)


def encode_snapshot(task: Task) -> bytes:
    return _encoder.encode(snapshot_of(task))


def is_snapshot_of(content: bytes | None, task: Task) -> bool:
    """Whether `content` is the snapshot of `task`, which was folded. Older programs stored no `created_number`."""
    return content == encode_snapshot(task) or content == encode_snapshot(replace(task, created_number=None))


def decode_snapshot(snapshot: bytes, *, key: str) -> Task:
    """The task in a snapshot; SnapshotDamagedError if it is not a snapshot. Messages name `key`."""
    try:
        return _task_of(_decoder.decode(snapshot))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        from ledger import json_problem  # noqa: PLC0415 - for a message only

        raise SnapshotDamagedError(key, f"does not hold a snapshot: {json_problem(snapshot, error)}") from error


def is_snapshot(content: bytes) -> bool:
    """Whether a string is a complete snapshot, of any task at any position."""
    try:
        decode_snapshot(content, key="")
    except SnapshotDamagedError:
        return False
    return True


def is_old_record(snapshot: bytes | None, fields: Sequence[bytes | None]) -> bool:
    """Whether a key holds a task from before the ledger: a JSON string, or a hash whose OLD_FIELDS are in `fields`.

    A snapshot of the ledger also has a position.
    """
    try:
        record = msgspec.json.decode(snapshot or b"null")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if isinstance(record, dict):
        return all(field in record for field in OLD_FIELDS) and not has_position(record)
    return bool(fields) and None not in fields


def has_position(fields: Mapping[str, object]) -> bool:
    """Whether these JSON fields have the position of an event, as those of a snapshot do, complete or not."""
    position = fields.get("position")
    if not isinstance(position, str):
        return False
    try:
        Position.parse(position)
    except ValueError:
        return False
    return True
