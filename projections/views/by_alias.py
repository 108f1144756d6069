"""Tasks whose id is not computed from their alias: adopted ones, which keep the id they had before the ledger."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import Task
from projections.views.view import Member, View

_VERSION_AT: Final = 14
_COMPUTED_VERSION: Final = "5"


class ByAlias(View):
    """The set of all such tasks, and a set per alias with its task. For other aliases, the id is computed (DESIGN 4)."""

    name: ClassVar[str] = "alias"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"id", "alias"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        if task.alias is None or is_computed(task.id):
            return ()
        return Member(None), Member(task.alias)


def is_computed(task_id: str) -> bool:
    """Whether a task's id is computed from its alias: such an id is a UUID of version 5, which is made from a name."""
    return task_id[_VERSION_AT] == _COMPUTED_VERSION
