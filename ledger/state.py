"""Where a task is in its life."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a task is in its life: pending -> assigned -> running -> completed, failed or cancelled."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    # An enum's own hash is a function in Python, and views look states up for every task.
    __hash__ = str.__hash__

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
