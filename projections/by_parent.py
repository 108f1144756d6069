"""The tasks right below each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ledger import Task
from projections.projection import Member, View


class ByParent(View):
    """The tasks right below each task."""

    name: ClassVar[str] = "parent"
    schema_version: ClassVar[int] = 1

    def entries(self, task: Task) -> Iterator[Member]:
        if task.parent_id is not None:
            yield Member(task.parent_id, task.id)
