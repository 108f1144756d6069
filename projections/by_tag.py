"""The tasks with each tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ledger import Task
from projections.projection import Member, View


class ByTag(View):
    """The tasks with each tag."""

    name: ClassVar[str] = "tag"
    schema_version: ClassVar[int] = 1

    def entries(self, task: Task) -> Iterator[Member]:
        for tag in task.tags:
            yield Member(tag, task.id)
