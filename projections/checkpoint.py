"""Checkpoint: how far a projection has come, and by which schema version and generation of it."""

from __future__ import annotations

from msgspec import Struct

from ledger import BEGINNING, NewerProjectionError, OutdatedProjectionError, Position


class Checkpoint(Struct, frozen=True, kw_only=True):
    """`generation` is raised by each rebuild, so that a projector of the old one cannot commit into the new one."""

    position: Position
    schema_version: int
    generation: int = 0


def parse_checkpoint(fields: list[bytes | None], *, projection: str, schema_version: int) -> Checkpoint:
    """The checkpoint in `position`, `schema_version` and `generation` as HMGET gives them; at BEGINNING where it is not yet.

    NewerProjectionError or OutdatedProjectionError where another program's schema version wrote it.
    """
    position, schema, generation = fields
    if position is None or schema is None:
        return Checkpoint(position=BEGINNING, schema_version=schema_version)
    if int(schema) > schema_version:
        raise NewerProjectionError(projection, schema=int(schema), schema_known=schema_version)
    if int(schema) < schema_version:
        raise OutdatedProjectionError(projection, schema=int(schema), schema_known=schema_version)
    return Checkpoint(
        position=Position(position, "ascii"), schema_version=schema_version, generation=int(generation or 0)
    )
