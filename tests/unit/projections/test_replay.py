"""Replays of several threads, as a server makes them, share one garbage collection."""

from __future__ import annotations

import gc
from contextlib import ExitStack

import pytest

from projections import no_garbage_collection


@pytest.mark.parametrize("first_out", [0, 1])
def test_collection_is_off_until_the_last_block_ends(first_out: int) -> None:
    """Blocks overlap in any way, and afterwards it is on again: a server that never collects grows without end."""
    assert gc.isenabled()
    with ExitStack() as first, ExitStack() as second:
        blocks = first, second
        for block in blocks:
            block.enter_context(no_garbage_collection())
        blocks[first_out].close()
        assert not gc.isenabled()
        blocks[1 - first_out].close()
        assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    """A block turns nothing on that somebody else turned off."""
    gc.disable()
    try:
        with no_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
