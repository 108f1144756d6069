"""The JSON shape of `tt demo`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import Position, Step, Task
from shapes import Shape, moment_shape, step_shape, task_shape


def demo_shape(
    name: str,
    tasks: Sequence[Task],
    history: Sequence[Step],
    *,
    earlier: Position,
    board: Sequence[Task],
    snapshot: bytes,
) -> Shape:
    """The board, one task's history, the board as it was at `earlier`, and a snapshot as any client reads it."""
    return {
        "town": name,
        "tasks": [task_shape(task) for task in tasks],
        "history": [step_shape(step) for step in history],
        "replay": moment_shape(earlier) | {"tasks": [task_shape(task) for task in board]},
        "snapshot": snapshot.decode(),
    }
