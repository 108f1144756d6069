"""The shape of a task: the fields of its snapshot, and its title. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import astuple

from ledger import FIELD_NAMES, TITLE
from projections import Snapshot, snapshot_of

if TYPE_CHECKING:
    from ledger import Task

_DEFAULTS: Final = Snapshot.__struct_defaults__
_REQUIRED: Final = len(FIELD_NAMES) - len(_DEFAULTS)
_TITLE_AT: Final = FIELD_NAMES.index(TITLE)

if TYPE_CHECKING:

    class TaskShape(msgspec.Struct, frozen=True):
        """The fields of the JSON, in their order."""

else:
    TaskShape = msgspec.defstruct(
        "TaskShape",
        [
            *((name, Any) for name in FIELD_NAMES[:_REQUIRED]),
            *((name, Any, default) for name, default in zip(FIELD_NAMES[_REQUIRED:], _DEFAULTS, strict=True)),
        ],
        frozen=True,
        omit_defaults=True,
    )


def shape_of(task: Task) -> TaskShape:
    """The task's canonical snapshot, with its title before the description."""
    values = astuple(snapshot_of(task))
    return TaskShape(*values[:_TITLE_AT], task.title, *values[_TITLE_AT:])
