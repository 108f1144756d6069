"""All tasks, in the order they were created."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Ranked, View


class Created(View):
    """All tasks, in the order they were created."""

    name: ClassVar[str] = "created"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"created_number"})

    def entries(self, task: Task) -> tuple[Ranked]:
        return (Ranked(None, task.created_number),)
