"""Tasks with an alias that their id does not come from: adopted ones, which keep the id they had before the ledger."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import Task
from projections.views.view import Member, View

_VERSION_AT: Final = 14
_COMPUTED_VERSION: Final = "5"


class ByAlias(View):
    """The set of all such tasks, and for each alias the one that has it. Every other alias is computed (DESIGN 4)."""

    name: ClassVar[str] = "alias"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"id", "alias"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        if task.alias is None or is_computed(task.id):
            return ()
        return Member(None), Member(task.alias)


def is_computed(task_id: str) -> bool:
    """Whether a task's id comes from its alias: a UUID says of which kind it is, and version 5 is made from a name."""
    return task_id[_VERSION_AT] == _COMPUTED_VERSION
