"""The tasks with each tag."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Member, View, members


class ByTag(View):
    """The tasks with each tag."""

    name: ClassVar[str] = "tag"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"tags"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        return members(*task.tags)
