"""The tasks each agent has, or had when they ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ledger import Task
from projections.projection import Member, View


class ByAgent(View):
    """The tasks each agent has, or had when they ended."""

    name: ClassVar[str] = "agent"
    schema_version: ClassVar[int] = 1

    def entries(self, task: Task) -> Iterator[Member]:
        if task.assigned_to is not None:
            yield Member(task.assigned_to, task.id)
