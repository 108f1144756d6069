"""Lost runs: finds running tasks that a runner started and whose heartbeat has ended, in one call for about a thousand tasks.

A task that somebody started by hand has no run, and never counts as lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger import Keys, LedgerDamagedError, RunMark, State, Task, TaskStarted, parse_head, read_event, redis_errors
from projections.errors import SnapshotDamagedError, ViewsIncompleteError
from projections.lua.runs import FIRST_CURSOR, LostSeen, RunsScript
from projections.snapshots import decode_snapshot
from projections.views.by_state import ByState

if TYPE_CHECKING:
    from redis import Redis

    from projections.live_board import LiveBoard


class LostRun(Struct, frozen=True):
    """A running task, and its run that has no heartbeat."""

    task: Task
    mark: RunMark


class RunsLook(Struct, frozen=True):
    """What one look at running tasks found, in no order.

    `cursor` is where the next look goes on, None after the last tasks. `unread` are tasks whose start was not found in this
    look. `ends_in_ms` is when the first of the heartbeats that beat can end, None if none beats; `now_ms` is the server's clock.
    """

    lost: tuple[LostRun, ...]
    unread: tuple[str, ...]
    cursor: str | None
    ends_in_ms: int | None
    now_ms: int


def look_at_runs(
    client: Redis, keys: Keys, live: LiveBoard, *, cursor: str | None = None, where: str = "redis"
) -> RunsLook:
    """Look at about RUNS_PER_LOOK running tasks, as of the checkpoint. ViewsIncompleteError. Source: runs.lua."""
    with redis_errors(where):
        seen = RunsScript(client)(keys, cursor=FIRST_CURSOR if cursor is None else cursor)
    if seen is None:
        running = keys.view(ByState.name, State.RUNNING)
        raise ViewsIncompleteError(f"the key {running} does not hold every running task")
    found = (_lost_run(task_id, each, keys, live) for task_id, each in seen.lost.items())
    return RunsLook(
        tuple(run for run in found if run is not None),
        tuple(seen.unknown),
        seen.cursor,
        seen.ends_in_ms,
        seen.now_ms,
    )


def _lost_run(task_id: str, seen: LostSeen, keys: Keys, live: LiveBoard) -> LostRun | None:
    """The task with its run; None if it changed since it was projected, or if a person started it."""
    task = None
    if seen.snapshot:
        try:
            task = decode_snapshot(seen.snapshot, key=keys.task(task_id))
        except SnapshotDamagedError:
            task = None
    task = task or live.fold_lost(task_id)
    try:
        start = read_event(*seen.start)
        version = parse_head(seen.head)[0]
    except LedgerDamagedError:
        # Reading the task's history tells what is damaged.
        return None
    if task is None or task.damaged_at is not None or task.version != version or task.state is not State.RUNNING:
        return None
    if not isinstance(start.data, TaskStarted) or start.task != task_id or start.position.ms != task.started_at_ms:
        return None
    return None if start.data.run is None else LostRun(task, start.data.run)
