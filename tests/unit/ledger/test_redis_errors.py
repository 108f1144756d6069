"""What a server's refusals are called: plainly, without the words of a pipeline or a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from ledger import ExplainedConnectionError, StoreUnavailableError, redis_errors

_PIPELINE = "Command # 2 (EVALSHA 1f (of one) of pipeline) of pipeline caused error: "


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            redis.exceptions.OutOfMemoryError(
                f"{_PIPELINE}command not allowed when used memory > 'maxmemory'. script: 1f"
            ),
            "refused to write. It is out of memory, at its maxmemory",
        ),
        (
            redis.ResponseError(f"{_PIPELINE}MISCONF Errors writing to the AOF file: No space left on device"),
            "refused to write. Its disk is full: free space there",
        ),
        (
            redis.ResponseError(
                "MISCONF Valkey is configured to save RDB snapshots, but it's unable to persist to disk."
            ),
            "refused to write. It cannot write to its disk, which may be full",
        ),
        (redis.ResponseError(f"{_PIPELINE}ERR something else"), "refused: ERR something else."),
    ],
)
def test_refusal_is_called_by_its_name(error: redis.ResponseError, words: str) -> None:
    """Out of memory, a full disk, a disk that fails; nothing was written."""
    with pytest.raises(StoreUnavailableError) as refused, redis_errors("here"):
        raise error
    assert str(refused.value).startswith(f"The server at here {words}")
    assert "pipeline" not in str(refused.value)
    assert refused.value.has_refused


def test_lost_connection_that_is_explained_leaves_as_its_explanation() -> None:
    """A client that knows how the server ended says so, and its error is the one that programs see."""
    explanation = StoreUnavailableError("here", "was told to stop", "Start it.")
    with pytest.raises(StoreUnavailableError) as lost, redis_errors("here"):
        raise ExplainedConnectionError(explanation)
    assert lost.value is explanation


def test_key_of_another_node_is_called_moved() -> None:
    """redis-py takes the code away, and what is left says nothing."""
    make: Callable[[str], redis.RedisError] = redis.exceptions.MovedError
    with pytest.raises(StoreUnavailableError, match="refused: MOVED 3999 there:6381"), redis_errors("here"):
        raise make("3999 there:6381")
