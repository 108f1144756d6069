"""LiveBoard: answers the same questions as `board` from the snapshots and views in Redis.

Its answers are as new as the checkpoint; catch up first if you need the ledger's end.

Keys can vanish: a server evicts them, a person deletes them, another program overwrites them. A lost snapshot is folded
from its task's history. Views that do not hold every task are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, cast

from ledger import EventStore, Keys, ReplyTooLargeError, State, Task, exchange, raise_error, redis_errors
from projections.errors import SnapshotDamagedError, ViewsIncompleteError
from projections.filter import EVERY_TASK, KeySets, Page, TaskFilter, page_of
from projections.listing import Listing, number_of
from projections.snapshots import NAME, decode_snapshot
from projections.views.backlog import Backlog
from projections.views.by_agent import ByAgent
from projections.views.by_alias import ByAlias
from projections.views.by_parent import ByParent
from projections.views.by_state import ByState
from projections.views.by_tag import ByTag
from projections.views.counts import Counts
from projections.views.created import Created
from projections.views.ids import Ids
from projections.views.ready import BACKLOG, BLOCKED, LATER, OPEN_STATES, PENDING, Ready, agent_part, time_of

if TYPE_CHECKING:
    from redis import Redis

    from projections.blocking import BlockedTask, CriticalPath
    from projections.ready_page import ReadyFilter, ReadyPage
    from projections.relatives import Relatives

PARENTS_PER_READ_MAX: Final = 500
SNAPSHOTS_PER_READ_MAX: Final = 1_000
LOST_SNAPSHOTS_FOLDED_MAX: Final = 100
"""If more snapshots are lost, folding the town is faster than reading that many histories."""
_FEWER: Final = 4
_IDS_MAX: Final = 1 << 53
"""More ids than a town has."""
_AFTER_EVERY_HEX: Final = "~"
_STATE_NAMES: Final = frozenset(map(str, State))


class LiveBoard:
    """One town's snapshots and views. `where` names the server in messages.

    `store` is where the history of a task with a lost snapshot is read; None makes one.
    """

    def __init__(self, client: Redis, keys: Keys, *, store: EventStore | None = None, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._store = EventStore(client, keys, where=where) if store is None else store
        self._where = where
        self._listing = Listing(client, keys, where=where)
        self.lost: set[str] = set()
        """The ids of tasks that were read and whose snapshot is missing or damaged."""

    def get(self, task_id: str) -> Task | None:
        """The task; None if its key is missing or not a string. SnapshotDamagedError. Source: MGET."""
        return self.get_many([task_id])[0]

    def get_many(self, task_ids: Sequence[str]) -> list[Task | None]:
        """As `get` for each, in the same order. Source: MGET."""
        return [
            None if snapshot is None else decode_snapshot(snapshot, key=self._keys.task(task_id))
            for task_id, snapshot in zip(task_ids, self.snapshots(task_ids), strict=True)
        ]

    def get_sound(self, task_ids: Sequence[str]) -> list[Task | None]:
        """As `get_many`, but also None for a damaged snapshot."""
        return [
            None if snapshot is None else self._decode_sound(task_id, snapshot)
            for task_id, snapshot in zip(task_ids, self.snapshots(task_ids), strict=True)
        ]

    def get_listed(self, task_ids: Sequence[str]) -> list[Task]:
        """The tasks with these ids from a view, in the same order, without those that were removed since.

        If a snapshot is lost, the task is folded from its history, and its id is added to `lost`. ViewsIncompleteError if
        too many are lost.
        """
        found = dict(zip(task_ids, self.get_sound(task_ids), strict=True))
        absent = [task_id for task_id, state in found.items() if state is None]
        if len(absent) > LOST_SNAPSHOTS_FOLDED_MAX:
            raise ViewsIncompleteError(f"{len(absent):,} tasks have no snapshot")
        for task_id in absent:
            found[task_id] = self.fold_lost(task_id)
        return [state for state in found.values() if state is not None]

    def fold_lost(self, task_id: str) -> Task | None:
        """The task, folded from its history, with its id added to `lost`; None if it was removed. Source: history.lua."""
        from projections.replay import fold_task  # noqa: PLC0415 - few snapshots are ever lost

        folded = fold_task(self._store.history(task_id))
        if folded is not None:
            self.lost.add(task_id)
        return folded

    def snapshots(self, task_ids: Sequence[str]) -> list[bytes | None]:
        """The string at the key of each task; None if the key is missing or not a string."""
        found: list[bytes | None] = []
        count = SNAPSHOTS_PER_READ_MAX
        while len(found) < len(task_ids):
            keys = [self._keys.task(task_id) for task_id in task_ids[len(found) : len(found) + count]]
            try:
                with redis_errors(self._where):
                    found += cast("list[bytes | None]", self._client.mget(keys))
            except ReplyTooLargeError:
                if count == 1:
                    raise
                count = max(count // _FEWER, 1)
        return found

    def _decode_sound(self, task_id: str, snapshot: bytes) -> Task | None:
        try:
            return decode_snapshot(snapshot, key=self._keys.task(task_id))
        except SnapshotDamagedError:
            return None

    def loss_of(self, task_id: str) -> SnapshotDamagedError:
        """The error for an existing task whose snapshot is lost, which says what is at its key. Source: TYPE."""
        key = self._keys.task(task_id)
        with redis_errors(self._where):
            kind = cast("str | bytes", self._client.type(key))
        kind = kind.decode() if isinstance(kind, bytes) else kind
        return SnapshotDamagedError(
            key, "is missing" if kind == "none" else f"has the wrong type, {kind}, and should be a string"
        )

    def count_lost(self) -> int:
        """How many existing tasks have no snapshot. ViewsIncompleteError. Source: ZRANGE, TYPE."""
        ids, _ = self._listing.page(KeySets(), {}, offset=0, limit=None)
        lost = 0
        for start in range(0, len(ids), SNAPSHOTS_PER_READ_MAX):
            commands = [("TYPE", self._keys.task(task_id)) for task_id in ids[start : start + SNAPSHOTS_PER_READ_MAX]]
            with redis_errors(self._where):
                kinds = exchange(self._client, commands)
                raise_error(kinds)
            lost += sum(kind not in {b"string", "string"} for kind in kinds)
        return lost

    def ready(self, wanted: ReadyFilter, *, limit: int | None, offset: int = 0, now_ms: int | None = None) -> ReadyPage:
        """As `ready_on`, of the board at the checkpoint; the time is that of the server's clock if it is not given.

        ViewsIncompleteError. Source: ready.lua, MGET.
        """
        # Few commands ask what is ready.
        from projections.lua.ready import ReadyKeys, ReadyScript  # noqa: PLC0415
        from projections.ready_page import ReadyPage  # noqa: PLC0415

        keys, most = self._keys, _IDS_MAX if limit is None else offset + limit + 1
        with redis_errors(self._where):
            position, ids = ReadyScript(self._client)(
                ReadyKeys(
                    checkpoint=keys.checkpoint(NAME),
                    later=keys.view(Ready.name, LATER),
                    of_agent=keys.view(Ready.name, agent_part(wanted.agent or "")),
                    pending=keys.view(Ready.name, PENDING),
                    each=[keys.view(ByTag.name, tag) for tag in wanted.tags],
                    either=[keys.view(ByTag.name, role) for role in wanted.roles],
                ),
                now_ms=now_ms,
                wanted=most,
            )
        # There is no place to begin at: the tasks before it are walked, and their snapshots are not read.
        shown = ids[offset:] if limit is None else ids[offset : offset + limit]
        has_more = offset + len(shown) < len(ids)
        return ReadyPage(tuple(self.get_listed(shown)), has_more=has_more, position=position)

    def next_begin_in_ms(self, *, since_ms: int = 0) -> int | None:
        """In how long the next task that waits for its time may begin, by the server's clock; None if none waits.

        It is 0 or less for one that may begin since at most `since_ms`. Source: TIME, ZRANGEBYSCORE, ZMSCORE.
        """
        with redis_errors(self._where):
            seconds, micros = cast("tuple[int, int]", self._client.time())
            now_ms = seconds * 1_000 + micros // 1_000
            later = self._keys.view(Ready.name, LATER)
            first = exchange(self._client, [("ZRANGEBYSCORE", later, f"({now_ms - since_ms}", "+inf", "LIMIT", 0, 1)])
            raise_error(first)
            scores = [cast("list[float | None]", self._client.zmscore(later, ids)) for ids in first if ids]
        return next((time_of(score) - now_ms for score in scores[0] if score is not None), None) if scores else None

    def blocked(self) -> list[BlockedTask]:
        """The open tasks that are blocked, as `blocked_among`. Source: SINTER, MGET, HMGET."""
        from projections.blocking import blocked_among  # noqa: PLC0415 - few commands ask what is blocked

        found = self._blocked_ids()
        return blocked_among(found, self.surroundings(found))

    def critical_path(self, last: str | None = None) -> CriticalPath:
        """As `critical_path`, of the tasks that are blocked and those above them, or of `last`. Source: SINTER, MGET, HMGET."""
        from projections.blocking import and_above, critical_path  # noqa: PLC0415 - one command asks for it

        blocked = self._blocked_ids() if last is None else []
        ends = [last] if last is not None else and_above(blocked, self.surroundings(blocked))
        return critical_path(ends, self.surroundings(ends, until_done=True))

    def _blocked_ids(self) -> list[str]:
        """The ids of the open tasks that are blocked."""
        blocked = self._keys.view(Ready.name, BLOCKED)
        return self._open_in([blocked]).get(blocked, [])

    def surroundings(self, task_ids: Sequence[str], *, until_done: bool = False) -> dict[str, Task]:
        """The tasks, those above them, and all that they wait for until they are begun or done, directly or not.

        Source: MGET, HMGET, SINTER, level by level.
        """
        from ledger import WorkStep  # noqa: PLC0415 - few commands ask what is around a task
        from projections.blocking import steps_before, tied_to  # noqa: PLC0415 - as above

        tasks: dict[str, Task] = {}
        seen = level = {WorkStep(task_id, is_done=until_done) for task_id in task_ids}
        asked: set[str] = set()
        while level:
            # What a task needs is read with it, because it waits for what is not completed alone.
            self._add(tasks, {step.task_id for step in level} - asked)
            asked |= {step.task_id for step in level}
            around = {each for step in level if step.task_id in tasks for each in tied_to(tasks[step.task_id])}
            self._add(tasks, around - asked)
            asked |= around
            below = self._open_below(step.task_id for step in level if step.is_done)
            level = {before for step in level for before in steps_before(step, tasks, below)} - seen
            seen = seen | level
        return tasks

    def _add(self, tasks: dict[str, Task], task_ids: Collection[str]) -> None:
        """Read tasks; one that was removed is not there."""
        found = self.get_sound(sorted(task_ids)) if task_ids else []
        tasks.update((task.id, task) for task in found if task is not None)

    def _open_below(self, task_ids: Iterable[str]) -> dict[str, list[str]]:
        """Task id -> the ids of the open tasks right below it, of those that have any. Source: HMGET, SINTER."""
        from projections.waiting import read_parents  # noqa: PLC0415 - as above

        parents = read_parents(self._client, self._keys, sorted(task_ids), where=self._where)
        sets = {self._keys.view(ByParent.name, parent): parent for parent in parents}
        return {sets[key]: found for key, found in self._open_in([*sets]).items()}

    def _open_in(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Key of a set of tasks -> the ids of its open ones. Source: SINTER."""
        found: dict[str, list[str]] = {}
        states = [self._keys.view(ByState.name, state) for state in OPEN_STATES]
        for start in range(0, len(keys), PARENTS_PER_READ_MAX):
            pairs = [(key, state) for key in keys[start : start + PARENTS_PER_READ_MAX] for state in states]
            with redis_errors(self._where):
                replies = exchange(self._client, [("SINTER", *pair) for pair in pairs])
                raise_error(replies)
            for (key, _), ids in zip(pairs, replies, strict=True):
                found.setdefault(key, []).extend(task_id.decode(errors="replace") for task_id in ids)
        return found

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order. Source: ZRANGEBYLEX."""
        with redis_errors(self._where):
            found = self._client.zrangebylex(
                self._keys.view(Ids.name), f"[{prefix}", f"({prefix}{_AFTER_EVERY_HEX}", start=0, num=limit
            )
        return [task_id.decode(errors="replace") for task_id in cast("list[bytes]", found)]

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id, for those of `aliases` whose task was adopted; other ids are computed. Source: EXISTS, SRANDMEMBER."""
        with redis_errors(self._where):
            if not aliases or not self._client.exists(self._keys.view(ByAlias.name)):
                return {}
            pipeline = self._client.pipeline(transaction=False)
            for alias in aliases:
                pipeline.srandmember(self._keys.view(ByAlias.name, alias))
            found = cast("list[bytes | None]", pipeline.execute())
        return {
            alias: task_id.decode(errors="replace")
            for alias, task_id in zip(aliases, found, strict=True)
            if task_id is not None
        }

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """At most `limit` of the tasks that match, from `offset` on, in the order that `wanted` asks for.

        A task that no longer matches after the second read is left out, so every task shown does match.
        ViewsIncompleteError if the views do not hold every task. Source: `Listing.page`, MGET.
        """
        if wanted.has_no_agent:
            return self._page_without_agent(wanted, offset, limit)
        if wanted.is_sorted or wanted.is_read:
            from projections.sorted_page import sorted_page  # noqa: PLC0415 - few lists are sorted

            return sorted_page(self, wanted, offset=offset, limit=limit)
        ids, total = self.find_matching(wanted, offset=offset, limit=limit)
        tasks = tuple(task for task in self.get_listed(ids) if wanted.matches(task))
        return Page(tasks, total, has_more=total is None or offset + len(ids) < total)

    def ids(self, wanted: TaskFilter) -> list[str]:
        """The ids of all tasks that match, without reading the tasks. ViewsIncompleteError. Source: `Listing.page`."""
        assert not wanted.has_no_agent, "no set holds these"
        assert not wanted.is_read, "no set holds these"
        return self.find_matching(wanted, offset=0, limit=None)[0]

    def find_matching(self, wanted: TaskFilter, *, offset: int, limit: int | None) -> tuple[list[str], int | None]:
        """The ids of a page in the order they were created, and how many match; None if more than were counted.

        ViewsIncompleteError. Source: `Listing.page`.
        """
        # Every task is in one of the states.
        states = wanted.states if len(wanted.states) < len(State) else ()
        state_keys = {self._keys.view(ByState.name, state): ("state", [state]) for state in State}
        in_states = tuple(self._keys.view(ByState.name, state) for state in states)
        named = [
            *([] if wanted.agent is None else [(ByAgent.name, wanted.agent)]),
            *((ByTag.name, tag) for tag in wanted.tags),
            *([] if wanted.parent is None else [(ByParent.name, wanted.parent)]),
        ]
        sets = KeySets(
            (*(in_states if len(states) == 1 else ()), *(self._keys.view(view, part) for view, part in named)),
            in_states if len(states) > 1 else (),
            tuple(self._keys.view(ByTag.name, tag) for tag in wanted.not_tags),
        )
        sizes: dict[str, tuple[str, Sequence[str]]] = {key: state_keys[key] for key in in_states}
        if wanted.agent is not None:
            key = self._keys.view(ByAgent.name, wanted.agent)
            sizes[key] = ("agent", [f"{state}:{wanted.agent}" for state in State])
        # State and agent are the only two conditions that are counted together.
        is_counted = bool(states) and [view for view, _ in named] == [ByAgent.name] and not sets.without
        return self._listing.page(
            sets,
            sizes,
            offset=offset,
            limit=limit,
            is_newest_first=wanted.is_newest_first,
            counted_as=("agent", [f"{state}:{wanted.agent}" for state in states]) if is_counted else None,
            rest={key: of for key, of in state_keys.items() if key not in in_states}
            if states and len(named) == 1 and not sets.without
            else None,
        )

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The pending tasks that no agent has, by rank. ViewsIncompleteError. Source: SDIFF, ZRANGE, MGET."""
        backlog, pending = self._keys.view(Backlog.name), self._keys.view(ByState.name, State.PENDING)
        ranked = self._keys.view(Ready.name, BACKLOG)
        self._listing.page(KeySets(), {pending: ("state", [State.PENDING])}, offset=0, limit=0)
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.sdiff([pending, backlog])
            pipeline.scard(backlog)
            pipeline.zcard(ranked)
            # A negative end counts from the last.
            pipeline.zrange(
                ranked, offset, -1 if limit is None else offset + limit - 1
            ) if limit != 0 else pipeline.zrange(ranked, 1, 0)
            outside, size, total, found = pipeline.execute()
        # An adopted task may be pending and have an agent.
        others = self.get_listed([task_id.decode(errors="replace") for task_id in cast("set[bytes]", outside)])
        if size != total or any(task.assigned_to is None and task.state is State.PENDING for task in others):
            raise ViewsIncompleteError(f"the key {backlog} does not hold every pending task that nobody has")
        ids = [task_id.decode(errors="replace") for task_id in cast("list[bytes]", found)]
        tasks = tuple(task for task in self.get_listed(ids) if task.state is State.PENDING)
        return Page(tasks, total, has_more=offset + len(ids) < total)

    def count_children(self, task_id: str) -> int:
        with redis_errors(self._where):
            return cast("int", self._client.scard(self._keys.view(ByParent.name, task_id)))

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
        return sorted(found, key=lambda task_id: (order[task_id] or 0, task_id))

    def relatives(self, task: Task, *, limit: int) -> Relatives:
        """The parent of `task`, and at most `limit` of the tasks right below it, oldest first. Source: relatives.lua."""
        from projections.lua.relatives import RelativesScript  # noqa: PLC0415 - few commands show what is around a task
        from projections.relatives import Relatives  # noqa: PLC0415 - as above

        keys = self._keys
        with redis_errors(self._where):
            seen = RelativesScript(self._client)(
                parent_id=task.parent_id,
                children_key=keys.view(ByParent.name, task.id),
                order_key=keys.view(Created.name),
                state_keys=[keys.view(ByState.name, state) for state in State],
                snapshots=keys.task(""),
                limit=limit,
            )
        if seen.total < 0:
            raise ViewsIncompleteError(f"the key {keys.view(ByParent.name, task.id)} is not a set")
        children = [
            (self._decode_sound(task_id, snapshot) if snapshot else None) or self.fold_lost(task_id)
            for task_id, snapshot in seen.children.items()
        ]
        parent = None
        if task.parent_id is not None:
            parent = self._decode_sound(task.parent_id, seen.parent) if seen.parent else None
            parent = parent or self.fold_lost(task.parent_id)
        counts = {state: count for state, count in zip(State, seen.counts, strict=False) if count}
        return Relatives(parent, tuple(each for each in children if each is not None), seen.total, counts)

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; every state is in it. ViewsIncompleteError."""
        self._listing.page(KeySets(), {}, offset=0, limit=0)
        with redis_errors(self._where):
            counts = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.view(Counts.name, "state")))
        return {state: number_of(counts.get(state.encode())) for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents are sorted, and each has every state. ViewsIncompleteError."""
        self._listing.page(KeySets(), {}, offset=0, limit=0)
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
        """A page of tasks without an agent. It reads all of them: no set holds them, and few are outside the backlog.

        ViewsIncompleteError if their number does not fit the counts.
        """
        agents = [self._keys.view(ByAgent.name, agent) for agent in self.count_agents()]
        states = wanted.states or tuple(State)
        ids = self._listing.outside([self._keys.view(ByState.name, state) for state in states], agents)
        found = [task for task in self.get_listed(ids) if wanted.matches(task)]
        if wanted.as_created() == TaskFilter(state=wanted.state, has_no_agent=True):
            in_states, of_agents = self.count_states(), self.count_agents().values()
            if len(found) != sum(in_states[state] - sum(counts[state] for counts in of_agents) for state in states):
                key = self._keys.view(Counts.name, "agent")
                raise ViewsIncompleteError(f"the key {key} does not count every task that an agent has")
        return page_of(wanted.in_order(found), offset=offset, limit=limit)
