"""The tasks right below each task, and how many of them are open."""

from __future__ import annotations

from typing import ClassVar

from ledger import Task
from projections.views.view import Counted, Member, View, members


class ByParent(View):
    """A part is the task above. The view's own key counts the open tasks right below each."""

    name: ClassVar[str] = "parent"
    schema_version: ClassVar[int] = 2
    fields: ClassVar[frozenset[str]] = frozenset({"parent_id", "state"})

    def entries(self, task: Task) -> tuple[Member | Counted, ...]:
        if task.parent_id is None:
            return ()
        below = members(task.parent_id)
        return below if task.state.is_terminal else (*below, Counted(None, task.parent_id))
