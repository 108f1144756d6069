"""Every state that adoption lets in, legal or not: Tinytown's tasks as its programs, and others, left them."""

from __future__ import annotations

from itertools import product
from typing import Any, Final, NamedTuple

import msgspec
import redis

from ledger import State, Task
from tests.support.builders import START_MS, a_task, task_id

AGENT_ID: Final = "a0000000-0000-4000-8000-000000000001"
"""An agent with a key, whose name is ada."""
LOST_AGENT_ID: Final = "a0000000-0000-4000-8000-000000000002"
"""An agent without one."""
_TIME: Final = "2025-03-01T09:00:00.123456789Z"


class Standing(NamedTuple):
    """What of a record may contradict itself: who has the task, when it began and ended, and what came out."""

    state: State
    agent: str | None
    is_started: bool
    has_ended: bool
    result: str | None

    def task(self, **fields: Any) -> Task:
        """The task as adoption makes it."""
        given: dict[str, Any] = {
            "state": self.state,
            "assigned_to": self.agent,
            "started_at_ms": START_MS if self.is_started else None,
            "completed_at_ms": START_MS if self.has_ended else None,
            "result": self.result,
        }
        return a_task(**(given | fields))

    def record(self, number: int, **fields: Any) -> dict[str, Any]:
        """The task number `number` as Tinytown wrote it."""
        return {
            "id": task_id(number),
            "description": f"Task {number}",
            "state": str(self.state),
            "assigned_to": self.agent,
            "created_at": _TIME,
            "updated_at": _TIME,
            "started_at": _TIME if self.is_started else None,
            "completed_at": _TIME if self.has_ended else None,
            "result": self.result,
            "parent_id": None,
            "tags": [],
        } | fields


def standings(*agents: str | None) -> list[Standing]:
    """Every standing there is, with each of `agents`."""
    each = product(State, agents, (False, True), (False, True), (None, "Completed via sync"))
    return [Standing(*facts) for facts in each]


def write_agent(client: redis.Redis, town: str) -> None:
    """The key of the one agent that has a name."""
    client.set(f"tt:{town}:agent:{AGENT_ID}", msgspec.json.encode({"id": AGENT_ID, "name": "ada"}))


def write_record(client: redis.Redis, record: dict[str, Any]) -> None:
    """The record as Tinytown 0.6 kept it."""
    client.set(f"tt:task:{record['id']}", msgspec.json.encode(record))
