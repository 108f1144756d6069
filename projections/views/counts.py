"""How many tasks are in each state, in all and for each agent."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from ledger import State, Task
from projections.views.view import Counted, View


class Counts(View):
    """The part `state` has a field per state; the part `agent` has fields `<state>:<agent>`. No state has a colon."""

    name: ClassVar[str] = "counts"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"state", "assigned_to"})

    def entries(self, task: Task) -> tuple[Counted, ...]:
        return _counted(task.state, task.assigned_to)


# A few agents have all the tasks, so most calls are answered from the cache.
@lru_cache(maxsize=4_096)
def _counted(state: State, agent: str | None) -> tuple[Counted, ...]:
    in_state = Counted("state", state)
    return (in_state,) if agent is None else (in_state, Counted("agent", f"{state}:{agent}"))
