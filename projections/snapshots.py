"""The canonical snapshot: a task as JSON at `tt:<town>:task:<uuid>`, as Tinytown documents it (DESIGN 5). Pure.

The same task is the same bytes on every machine: fields in one order, times from positions, tags sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_type_hints

import msgspec
from msgspec import Struct

from ledger import FIELDS, Field, Form, Position, SnapshotDamagedError, Task, format_ms, json_problem, parse_rfc3339

NAME: Final = "task"
SCHEMA_VERSION: Final = 1
OLD_FIELDS: Final = ("id", "description", "state")


_TYPES: Final = get_type_hints(Task)
_DEFAULTS: Final = {field.name: field.default for field in msgspec.structs.fields(Task)}


def _is_optional(field: Field) -> bool:
    return NoneType in get_args(_TYPES[field.attribute])


def _type_in_json(field: Field) -> Any:  # noqa: ANN401 - any type
    """What a field is in the JSON. One that is left out where it is empty is never `null`."""
    of_task = _TYPES[field.attribute]
    in_json = of_task if field.form is Form.PLAIN else str | None if _is_optional(field) else str
    return in_json if field.is_always_there else Union[*(each for each in get_args(in_json) if each is not NoneType)]


def _in_struct(field: Field) -> tuple[str, Any] | tuple[str, Any, Any]:
    """A field of the struct: name, type, and for one that may be left out what that means."""
    declared = (field.name, _type_in_json(field))
    return declared if field.is_always_there else (*declared, _DEFAULTS[field.attribute])


if TYPE_CHECKING:

    class Snapshot(Struct, frozen=True):
        """The fields of the JSON, in their order. Times are RFC 3339, UTC, milliseconds, `Z`."""

else:
    Snapshot = msgspec.defstruct("Snapshot", map(_in_struct, FIELDS), module=__name__, frozen=True, omit_defaults=True)

_decoder = msgspec.json.Decoder(Snapshot)
_encoder = msgspec.json.Encoder()


def _value_in_json(field: Field) -> str:
    value = f"task.{field.attribute}"
    if field.form is not Form.TIME:
        return value
    return f"None if {value} is None else format_ms({value})" if _is_optional(field) else f"format_ms({value})"


def _value_in_task(field: Field) -> str:
    value = f"fields.{field.name}"
    if field.form is Form.PLAIN:
        return value
    parsed = f"parse_rfc3339({value})" if field.form is Form.TIME else f"str(Position.parse({value}))"
    return f"None if {value} is None else {parsed}" if _is_optional(field) else parsed


_NAMED: Final = {
    "Snapshot": Snapshot,
    "Task": Task,
    "Position": Position,
    "format_ms": format_ms,
    "parse_rfc3339": parse_rfc3339,
}
"""What the expressions name."""


def _function(of: str, body: str) -> Callable[[Any], Any]:
    """A function made once from an expression: a loop over the fields takes half as long again for each task."""
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


def decode_snapshot(snapshot: bytes, *, key: str) -> Task:
    """The task in a snapshot, but for its `number`; SnapshotDamagedError where it is none. `key` is named in messages."""
    try:
        return _task_of(_decoder.decode(snapshot))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
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
