"""LiveBoard: the same questions as `board`, answered from the snapshots and views in Redis.

What it says is as new as the checkpoint; whoever needs the ledger's end catches up first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from ledger import Keys, ReplyTooLargeError, State, Task, redis_errors
from projections.backlog import Backlog
from projections.by_agent import ByAgent
from projections.by_alias import ByAlias
from projections.by_parent import ByParent
from projections.by_state import ByState
from projections.by_tag import ByTag
from projections.counts import Counts
from projections.created import Created
from projections.filter import EVERY_TASK, Page, TaskFilter
from projections.ids import Ids
from projections.snapshots import decode_snapshot

if TYPE_CHECKING:
    from redis import Redis

SNAPSHOTS_PER_READ_MAX: Final = 1_000
_FEWER: Final = 4
_AFTER_EVERY_HEX: Final = "~"


class LiveBoard:
    """One town's snapshots and views. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where

    def get(self, task: str) -> Task | None:
        """The task; None where it has no snapshot. SnapshotDamagedError. Source: GET."""
        key = self._keys.task(task)
        with redis_errors(self._where, key=key):
            snapshot = cast("bytes | None", self._client.get(key))
        return None if snapshot is None else decode_snapshot(snapshot, key=key)

    def get_many(self, tasks: Sequence[str]) -> list[Task | None]:
        """As `get` for each, in the same order. Source: MGET."""
        found: list[Task | None] = []
        count = SNAPSHOTS_PER_READ_MAX
        while len(found) < len(tasks):
            keys = [self._keys.task(task) for task in tasks[len(found) : len(found) + count]]
            try:
                with redis_errors(self._where):
                    snapshots = cast("list[bytes | None]", self._client.mget(keys))
            except ReplyTooLargeError:
                if count == 1:
                    raise
                count = max(count // _FEWER, 1)
                continue
            found += [
                None if snapshot is None else decode_snapshot(snapshot, key=key)
                for key, snapshot in zip(keys, snapshots, strict=True)
            ]
        return found

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order. Source: ZRANGEBYLEX."""
        with redis_errors(self._where):
            found = self._client.zrangebylex(
                self._keys.view(Ids.name), f"[{prefix}", f"({prefix}{_AFTER_EVERY_HEX}", start=0, num=limit
            )
        return [task.decode() for task in cast("list[bytes]", found)]

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id of those of `aliases` whose task was adopted; the others' ids are computed. Source: EXISTS, SRANDMEMBER."""
        with redis_errors(self._where):
            if not aliases or not self._client.exists(self._keys.view(ByAlias.name)):
                return {}
            pipeline = self._client.pipeline(transaction=False)
            for alias in aliases:
                pipeline.srandmember(self._keys.view(ByAlias.name, alias))
            found = cast("list[bytes | None]", pipeline.execute())
        return {alias: task.decode() for alias, task in zip(aliases, found, strict=True) if task is not None}

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that match, oldest first, from `offset`, at most `limit`. Source: ZRANGE, ZINTER, MGET.

        A task that changes between the two reads is left out where it matches no longer, so nothing shown is untrue.
        """
        ids, total = self._matching_ids(wanted, offset, limit)
        tasks = (task for task in self.get_many(ids) if task is not None and wanted.matches(task))
        return Page(tuple(tasks), total)

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that nobody has, oldest first."""
        ids = self._intersect([self._keys.view(Backlog.name)])
        wanted = ids[offset : None if limit is None else offset + limit]
        tasks = (task for task in self.get_many(wanted) if task is not None and task.state is State.PENDING)
        return Page(tuple(tasks), len(ids))

    def count_children(self, task: str) -> int:
        with redis_errors(self._where):
            return cast("int", self._client.scard(self._keys.view(ByParent.name, task)))

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; all states are there."""
        with redis_errors(self._where):
            counts = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.view(Counts.name, "state")))
        return {state: int(counts.get(state.encode(), 0)) for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents sorted, absent states are 0."""
        with redis_errors(self._where):
            counts = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.view(Counts.name, "agent")))
        agents: dict[str, dict[State, int]] = {}
        for field, count in sorted(counts.items(), key=lambda item: item[0].partition(b":")[2]):
            state, _, agent = field.decode().partition(":")
            agents.setdefault(agent, dict.fromkeys(State, 0))[State(state)] = int(count)
        return agents

    def _matching_ids(self, wanted: TaskFilter, offset: int, limit: int | None) -> tuple[list[str], int]:
        conditions = [
            (ByState.name, wanted.state),
            (ByAgent.name, wanted.agent),
            (ByTag.name, wanted.tag),
            (ByParent.name, wanted.parent),
        ]
        keys = [self._keys.view(view, part) for view, part in conditions if part is not None]
        if keys:
            ids = self._intersect(keys)
            return ids[offset : None if limit is None else offset + limit], len(ids)
        created = self._keys.view(Created.name)
        with redis_errors(self._where):
            last = -1 if limit is None else offset + limit - 1
            found = [] if limit == 0 else cast("list[bytes]", self._client.zrange(created, offset, last))
            total = cast("int", self._client.zcard(created))
        return [task.decode() for task in found], total

    def _intersect(self, keys: Sequence[str]) -> list[str]:
        """The tasks that are in all the sets, oldest first: only the order they were created in has weight."""
        weights = {self._keys.view(Created.name): 1} | dict.fromkeys(keys, 0)
        with redis_errors(self._where):
            found = self._client.zinter(weights, aggregate="SUM")
        return [task.decode() for task in cast("list[bytes]", found)]
