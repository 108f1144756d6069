"""All task ids in alphabetical order, to find one by its first characters."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.projection import Ranked, View


class Ids(View):
    """All task ids in alphabetical order, to find one by its first characters."""

    name: ClassVar[str] = "ids"
    schema_version: ClassVar[int] = 1

    def entries(self, task: Task) -> tuple[Ranked]:
        return (Ranked(None, task.id, 0),)
