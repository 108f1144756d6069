"""Checkpoints: how far a projection has come, and by which program."""

from __future__ import annotations

import pytest

from ledger import BEGINNING, NewerProjectionError, OutdatedProjectionError
from projections.checkpoint import Checkpoint, parse_checkpoint


def test_absent_checkpoint_is_the_beginning() -> None:
    """A projection that has taken in nothing starts before the first event."""
    checkpoint = parse_checkpoint([None, None, None], projection="task", schema_version=2)
    assert checkpoint == Checkpoint(position=BEGINNING, schema_version=2, generation=0)


def test_checkpoint_has_position_and_generation() -> None:
    """What was committed is read back; a missing generation is the first."""
    read = parse_checkpoint([b"5-2", b"2", b"7"], projection="task", schema_version=2)
    assert (read.position, read.generation) == ("5-2", 7)
    assert parse_checkpoint([b"5-2", b"2", None], projection="task", schema_version=2).generation == 0


@pytest.mark.parametrize(("schema", "error"), [(b"3", NewerProjectionError), (b"1", OutdatedProjectionError)])
def test_checkpoint_of_another_program_stops(schema: bytes, error: type[Exception]) -> None:
    """A newer or older schema version is never mixed with ours; the message names both."""
    with pytest.raises(error, match=rf"task has schema {schema.decode()}.* 2"):
        parse_checkpoint([b"5-2", schema, b"0"], projection="task", schema_version=2)
