"""Lifts old event payloads step by step to the newest schema before they are decoded.

An upcaster is a pure function from the `data` of schema n to the `data` of schema n+1, named for its step
(`upcast_created_v1_v2`) and registered here under `(type, n)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.errors import UpcasterMissingError

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]


def upcast_created_v1_v2(data: Data) -> Data:
    """Schema 2 says where a task came from; schema 1 did not, so it stays unknown."""
    return data | {"source": None}


def upcast_started_v1_v2(_data: Data) -> Data:
    """Schema 2 has a field for the run. In schema 1 it is in the reason, which `recorded_event` parses while it decodes."""
    return {"run": None}


UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = {
    ("task.created", 1): upcast_created_v1_v2,
    ("task.started", 1): upcast_started_v1_v2,
}


def upcast(
    data: Data,
    *,
    event_type: str,
    schema: int,
    newest: int,
    position: str,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> Data:
    """`data` in schema `newest`; UpcasterMissingError if a step is missing."""
    for step in range(schema, newest):
        upcaster = upcasters.get((event_type, step))
        if upcaster is None:
            raise UpcasterMissingError(position, event_type, schema=step)
        data = upcaster(data)
    return data
