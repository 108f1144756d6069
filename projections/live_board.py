"""LiveBoard: the same questions as `board`, answered from the snapshots and views in Redis.

What it says is as new as the checkpoint; whoever needs the ledger's end catches up first.

Keys can vanish: a server evicts them, a person deletes them, another program writes over them. A snapshot that is lost is
folded from its task's history; views that do not hold every task are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from ledger import EventStore, Keys, ReplyTooLargeError, State, Task, exchange, raise_error, redis_errors
from projections.errors import SnapshotDamagedError, ViewsIncompleteError
from projections.filter import EVERY_TASK, Page, TaskFilter, page_of
from projections.listing import Listing, number_of
from projections.snapshots import decode_snapshot
from projections.views.backlog import Backlog
from projections.views.by_agent import ByAgent
from projections.views.by_alias import ByAlias
from projections.views.by_parent import ByParent
from projections.views.by_state import ByState
from projections.views.by_tag import ByTag
from projections.views.counts import Counts
from projections.views.created import Created
from projections.views.ids import Ids

if TYPE_CHECKING:
    from redis import Redis

PARENTS_PER_READ_MAX: Final = 500
SNAPSHOTS_PER_READ_MAX: Final = 1_000
LOST_SNAPSHOTS_FOLDED_MAX: Final = 100
"""Of more tasks than these, no history is read one by one: it is quicker to fold the town."""
_FEWER: Final = 4
_AFTER_EVERY_HEX: Final = "~"
_STATE_NAMES: Final = frozenset(map(str, State))


class LiveBoard:
    """One town's snapshots and views. `where` names the server in messages.

    From `store` a task is folded that a view names and whose snapshot is lost; None makes one.
    """

    def __init__(self, client: Redis, keys: Keys, *, store: EventStore | None = None, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._store = EventStore(client, keys, where=where) if store is None else store
        self._where = where
        self._listing = Listing(client, keys, where=where)
        self.lost: set[str] = set()
        """The tasks among what was read whose snapshot is missing, or is not what was projected."""

    def get(self, task: str) -> Task | None:
        """The task; None where nothing lies at its key, or something that is no string. SnapshotDamagedError. Source: MGET."""
        return self.get_many([task])[0]

    def get_many(self, tasks: Sequence[str]) -> list[Task | None]:
        """As `get` for each, in the same order. Source: MGET."""
        return [
            None if snapshot is None else decode_snapshot(snapshot, key=self._keys.task(task))
            for task, snapshot in zip(tasks, self._snapshots(tasks), strict=True)
        ]

    def get_sound(self, tasks: Sequence[str]) -> list[Task | None]:
        """As `get_many`, but None also where the snapshot is damaged."""
        return [
            None if snapshot is None else self._decode_sound(task, snapshot)
            for task, snapshot in zip(tasks, self._snapshots(tasks), strict=True)
        ]

    def get_listed(self, tasks: Sequence[str]) -> list[Task]:
        """The tasks with these ids, which a view names, in the same order; without those that were removed since.

        A task whose snapshot is lost is folded from its history, and its id kept in `lost`. ViewsIncompleteError where
        these are too many.
        """
        found = dict(zip(tasks, self.get_sound(tasks), strict=True))
        absent = [task for task, state in found.items() if state is None]
        if len(absent) > LOST_SNAPSHOTS_FOLDED_MAX:
            raise ViewsIncompleteError(f"{len(absent):,} tasks have no snapshot")
        for task in absent:
            found[task] = self.fold_lost(task)
        return [state for state in found.values() if state is not None]

    def fold_lost(self, task: str) -> Task | None:
        """The task as its history tells, and its id kept in `lost`; None where it was removed. Source: history.lua."""
        from projections.replay import fold_task  # noqa: PLC0415 - few snapshots are ever lost

        folded = fold_task(self._store.history(task))
        if folded is not None:
            self.lost.add(task)
        return folded

    def _snapshots(self, tasks: Sequence[str]) -> list[bytes | None]:
        """What lies at the key of each task; None where nothing does, or something that is no string."""
        found: list[bytes | None] = []
        count = SNAPSHOTS_PER_READ_MAX
        while len(found) < len(tasks):
            keys = [self._keys.task(task) for task in tasks[len(found) : len(found) + count]]
            try:
                with redis_errors(self._where):
                    found += cast("list[bytes | None]", self._client.mget(keys))
            except ReplyTooLargeError:
                if count == 1:
                    raise
                count = max(count // _FEWER, 1)
        return found

    def _decode_sound(self, task: str, snapshot: bytes) -> Task | None:
        try:
            return decode_snapshot(snapshot, key=self._keys.task(task))
        except SnapshotDamagedError:
            return None

    def loss_of(self, task: str) -> SnapshotDamagedError:
        """What lies at the key of a task that is there and has no snapshot. Source: TYPE."""
        key = self._keys.task(task)
        with redis_errors(self._where):
            kind = cast("str | bytes", self._client.type(key))
        kind = kind.decode() if isinstance(kind, bytes) else kind
        return SnapshotDamagedError(
            key, "is missing" if kind == "none" else f"has the wrong type, {kind}, and should be a string"
        )

    def count_lost(self) -> int:
        """How many of the tasks that are there have no snapshot. ViewsIncompleteError. Source: ZRANGE, TYPE."""
        ids, _ = self._listing.page([], {}, offset=0, limit=None)
        lost = 0
        for start in range(0, len(ids), SNAPSHOTS_PER_READ_MAX):
            commands = [("TYPE", self._keys.task(task)) for task in ids[start : start + SNAPSHOTS_PER_READ_MAX]]
            with redis_errors(self._where):
                kinds = exchange(self._client, commands)
                raise_error(kinds)
            lost += sum(kind not in {b"string", "string"} for kind in kinds)
        return lost

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order. Source: ZRANGEBYLEX."""
        with redis_errors(self._where):
            found = self._client.zrangebylex(
                self._keys.view(Ids.name), f"[{prefix}", f"({prefix}{_AFTER_EVERY_HEX}", start=0, num=limit
            )
        return [task.decode(errors="replace") for task in cast("list[bytes]", found)]

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id of those of `aliases` whose task was adopted; the others' ids are computed. Source: EXISTS, SRANDMEMBER."""
        with redis_errors(self._where):
            if not aliases or not self._client.exists(self._keys.view(ByAlias.name)):
                return {}
            pipeline = self._client.pipeline(transaction=False)
            for alias in aliases:
                pipeline.srandmember(self._keys.view(ByAlias.name, alias))
            found = cast("list[bytes | None]", pipeline.execute())
        return {
            alias: task.decode(errors="replace") for alias, task in zip(aliases, found, strict=True) if task is not None
        }

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that match, oldest first unless newest are wanted first, from `offset`, at most `limit`.

        Source: `Listing.page`, MGET.

        A task that changes between the two reads is left out where it matches no longer, so nothing shown is untrue.
        ViewsIncompleteError where the views do not hold every task.
        """
        if wanted.has_no_agent:
            return self._page_without_agent(wanted, offset, limit)
        ids, total = self._matching_ids(wanted, offset, limit)
        tasks = tuple(task for task in self.get_listed(ids) if wanted.matches(task))
        return Page(tasks, total, has_more=total is None or offset + len(ids) < total)

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that nobody has, oldest first. ViewsIncompleteError."""
        backlog, pending = self._keys.view(Backlog.name), self._keys.view(ByState.name, State.PENDING)
        with redis_errors(self._where):
            outside = [
                task.decode(errors="replace") for task in cast("set[bytes]", self._client.sdiff([pending, backlog]))
            ]
        # An adopted task may be pending and have an agent.
        if any(task.assigned_to is None and task.state is State.PENDING for task in self.get_listed(outside)):
            raise ViewsIncompleteError(f"the key {backlog} does not hold every pending task that nobody has")
        sizes = {pending: ("state", [State.PENDING])}
        ids, total = self._listing.page([backlog], sizes, offset=offset, limit=limit)
        tasks = tuple(task for task in self.get_listed(ids) if task.state is State.PENDING)
        return Page(tasks, total, has_more=total is None or offset + len(ids) < total)

    def count_children(self, task: str) -> int:
        with redis_errors(self._where):
            return cast("int", self._client.scard(self._keys.view(ByParent.name, task)))

    def children_of(self, parents: Sequence[str]) -> list[str]:
        """The ids of the tasks right below any of `parents`, oldest first. Source: SUNION, ZMSCORE."""
        found: list[str] = []
        for start in range(0, len(parents), PARENTS_PER_READ_MAX):
            keys = [self._keys.view(ByParent.name, parent) for parent in parents[start : start + PARENTS_PER_READ_MAX]]
            with redis_errors(self._where):
                found += [each.decode(errors="replace") for each in cast("set[bytes]", self._client.sunion(keys))]
        if not found:
            return []
        with redis_errors(self._where):
            numbers = cast("list[float | None]", self._client.zmscore(self._keys.view(Created.name), found))
        order = dict(zip(found, numbers, strict=True))
        return sorted(found, key=lambda task: (order[task] or 0, task))

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; all states are there. ViewsIncompleteError."""
        self._listing.page([], {}, offset=0, limit=0)
        with redis_errors(self._where):
            counts = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.view(Counts.name, "state")))
        return {state: number_of(counts.get(state.encode())) for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents sorted, absent states are 0. ViewsIncompleteError."""
        self._listing.page([], {}, offset=0, limit=0)
        key = self._keys.view(Counts.name, "agent")
        with redis_errors(self._where):
            counts = cast("dict[bytes, bytes]", self._client.hgetall(key))
        agents: dict[str, dict[State, int]] = {}
        for field, count in sorted(counts.items(), key=lambda item: item[0].partition(b":")[2]):
            state, _, agent = field.decode(errors="replace").partition(":")
            if state not in _STATE_NAMES:
                raise ViewsIncompleteError(f"the key {key} counts something that is no state")
            agents.setdefault(agent, dict.fromkeys(State, 0))[State(state)] = number_of(count)
        return agents

    def _page_without_agent(self, wanted: TaskFilter, offset: int, limit: int | None) -> Page:
        """A page of tasks that nobody has: all are looked at, because no set has them, and outside the backlog they are few.

        ViewsIncompleteError where they are not as many as the counts leave.
        """
        agents = [self._keys.view(ByAgent.name, agent) for agent in self.count_agents()]
        states = State if wanted.state is None else [wanted.state]
        ids = self._listing.outside([self._keys.view(ByState.name, state) for state in states], agents)
        found = [task for task in self.get_listed(ids) if wanted.matches(task)]
        if wanted == TaskFilter(state=wanted.state, has_no_agent=True, is_newest_first=wanted.is_newest_first):
            in_states, of_agents = self.count_states(), self.count_agents().values()
            if len(found) != sum(in_states[state] - sum(counts[state] for counts in of_agents) for state in states):
                key = self._keys.view(Counts.name, "agent")
                raise ViewsIncompleteError(f"the key {key} does not count every task that an agent has")
        if wanted.is_newest_first:
            found.reverse()
        return page_of(found, offset=offset, limit=limit)

    def _matching_ids(self, wanted: TaskFilter, offset: int, limit: int | None) -> tuple[list[str], int | None]:
        conditions = {
            ByState.name: wanted.state,
            ByAgent.name: wanted.agent,
            ByTag.name: wanted.tag,
            ByParent.name: wanted.parent,
        }
        sets = [self._keys.view(view, part) for view, part in conditions.items() if part is not None]
        sizes: dict[str, tuple[str, Sequence[str]]] = {}
        if wanted.state is not None:
            sizes[self._keys.view(ByState.name, wanted.state)] = ("state", [wanted.state])
        if wanted.agent is not None:
            sizes[self._keys.view(ByAgent.name, wanted.agent)] = (
                "agent",
                [f"{state}:{wanted.agent}" for state in State],
            )
        # The only two conditions together that are counted.
        is_counted = wanted.state is not None and wanted.agent is not None and len(sets) == len(sizes)
        return self._listing.page(
            sets,
            sizes,
            offset=offset,
            limit=limit,
            is_newest_first=wanted.is_newest_first,
            counted_as=("agent", f"{wanted.state}:{wanted.agent}") if is_counted else None,
        )
