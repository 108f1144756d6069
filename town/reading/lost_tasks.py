"""Lost tasks: running tasks whose runner has no heartbeat, and how long ago each run began. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ledger import LOST, RunMark, Task
from projections import RunsLook, look_at_runs
from town.backend import Backend


class LostTask(Struct, frozen=True):
    """A running task as it was found, its lost run, and how long ago the run began, in ms by the server's clock."""

    task: Task
    mark: RunMark
    age_ms: int

    def words(self) -> str:
        """The reason for the event."""
        return f"{LOST} {self.mark}, of {self.task.assigned_to}, has no heartbeat"


class LostTasks(Struct, frozen=True):
    """The lost tasks that were found, oldest first. `has_more` is set if not every running task was looked at.

    `ends_in_ms` is when the first of the heartbeats that beat can end; None if none beats.
    """

    tasks: tuple[LostTask, ...]
    has_more: bool = False
    ends_in_ms: int | None = None


def look_for_lost(backend: Backend, *, agent: str | None = None) -> LostTasks:
    """The lost tasks among the first thousand or so that are running, all or those of `agent`, as of the checkpoint.

    One trip to the server. ViewsIncompleteError.
    """
    look = look_at_runs(backend.client, backend.keys, backend.live, where=backend.where)
    return gather([look], agent=agent, has_more=look.cursor is not None or bool(look.unread))


def gather(looks: Sequence[RunsLook], *, agent: str | None = None, has_more: bool = False) -> LostTasks:
    """What several looks found together, all of it or what `agent` has. Pure."""
    # A set that grows while it is looked at may show a task twice.
    found = {
        run.task.id: LostTask(run.task, run.mark, max(look.now_ms - (run.task.started_at_ms or look.now_ms), 0))
        for look in looks
        for run in look.lost
        if agent in (None, run.task.assigned_to)
    }
    ends = [look.ends_in_ms for look in looks if look.ends_in_ms is not None]
    tasks = sorted(found.values(), key=lambda lost: (lost.task.created_at_ms, lost.task.created_number or 0))
    return LostTasks(tuple(tasks), has_more, min(ends, default=None))
