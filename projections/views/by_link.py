"""The tasks that have a link to each task, and how many open tasks need each."""

from __future__ import annotations

from typing import ClassVar, Final

from ledger import LinkKind, Task
from projections.views.view import Counted, Member, View, ViewEntry

_KINDS: Final = tuple(LinkKind)


class ByLink(View):
    """A part is a kind of link and the task that it leads to, `needs:<id>`. The view's own key counts the open tasks that need each."""

    name: ClassVar[str] = "link"
    schema_version: ClassVar[int] = 1
    fields: ClassVar[frozenset[str]] = frozenset({"state", *_KINDS})

    def entries(self, task: Task) -> list[ViewEntry]:
        entries: list[ViewEntry] = [Member(link_part(kind, to)) for kind in _KINDS for to in task.links(kind)]
        if not task.state.is_terminal:
            entries += [Counted(None, to) for to in task.needs]
        return entries


def link_part(kind: LinkKind, task_id: str) -> str:
    """The part of the view that has the tasks with such a link to this task."""
    return f"{kind}:{task_id}"
