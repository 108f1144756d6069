"""How many tasks are in each state, in all and for each agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ledger import Task
from projections.projection import Counted, View


class Counts(View):
    """Fields of the part `state` are states; those of `agent` are `<state>:<agent>`, because no state has a colon."""

    name: ClassVar[str] = "counts"
    schema_version: ClassVar[int] = 1

    def entries(self, task: Task) -> Iterator[Counted]:
        yield Counted("state", task.state)
        if task.assigned_to is not None:
            yield Counted("agent", f"{task.state}:{task.assigned_to}")
