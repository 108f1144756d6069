"""The pending tasks that no agent has."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import State, Task
from projections.views.view import Member, View

_IN_BACKLOG: Final = (Member(None),)


class Backlog(View):
    """The pending tasks that no agent has."""

    name: ClassVar[str] = "backlog"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"state", "assigned_to"})

    def entries(self, task: Task) -> tuple[Member, ...]:
        return _IN_BACKLOG if task.state is State.PENDING and task.assigned_to is None else ()
