"""The tasks in each state."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Member, View, members


class ByState(View):
    """The tasks in each state."""

    name: ClassVar[str] = "state"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"state"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        return members(task.state)
