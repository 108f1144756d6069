"""The tasks right below each task."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Member, View, members


class ByParent(View):
    """The tasks right below each task."""

    name: ClassVar[str] = "parent"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"parent_id"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        return () if task.parent_id is None else members(task.parent_id)
