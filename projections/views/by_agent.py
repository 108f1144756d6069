"""The tasks that each agent has, or had when they ended."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Member, View, members


class ByAgent(View):
    """The tasks that each agent has, or had when they ended."""

    name: ClassVar[str] = "agent"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"assigned_to"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        return () if task.assigned_to is None else members(task.assigned_to)
