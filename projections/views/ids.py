"""All task ids in alphabetical order, to find one by its first characters."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import Task
from projections.views.view import Ranked, View

_IN_ORDER: Final = (Ranked(None, 0),)


class Ids(View):
    """All task ids in alphabetical order, to find one by its first characters."""

    name: ClassVar[str] = "ids"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset()

    def entries(self, task: Task) -> tuple[Ranked]:
        del task
        return _IN_ORDER
