"""Loading: reads a task and its current version for a decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ledger import BEGINNING, EventStore, HeadLostError, Keys, Position, Task, TaskRemoved, seq_of
from projections.damage import damage_of_absent
from projections.errors import SnapshotDamagedError
from projections.live_board import LiveBoard
from projections.look import PREFIX_IDS_MAX, Look, Wanted
from projections.upkeep import Upkeep


class Loader:
    """Reads tasks of one town with their versions: from the look at the start of a command, or else one by one."""

    def __init__(self, store: EventStore, live: LiveBoard, keys: Keys, upkeep: Upkeep) -> None:
        self._store = store
        self._live = live
        self._keys = keys
        self._upkeep = upkeep
        self.look: Look | None = None
        """What the current command looked at when it started; None if it had to catch up."""
        self.seen = BEGINNING
        """The last position that the current command read of: the event there is what it stands on."""
        self.new_agents: list[str] = []
        """The agents that commands named and that had no task."""
        self.is_actor_new = False
        """Whether the actor had caused none of the last events when it first gave a command."""
        self._met: set[str] = set()
        self._has_met_actor = False

    @contextmanager
    def caught_up(self, wanted: Wanted) -> Iterator[None]:
        """Catch up for the block. If the town was caught up already, what is wanted was read in the same call."""
        self.look = self._upkeep.look(self._unmet(wanted))
        if self.look is not None and (self.look.new_agents or self.look.is_actor_new):
            self.new_agents += self.look.new_agents
            self.is_actor_new |= self.look.is_actor_new
        try:
            if self.look is None:
                self.seen = self._upkeep.catch_up()
                self._store.hold_against_receipts(self.seen, missing=self._store.find_missing())
            else:
                self.seen = self.look.position
                self._store.hold_against_receipts(self.seen, missing=self.look.missing)
            yield
        finally:
            self.look = None

    def _unmet(self, wanted: Wanted) -> Wanted:
        """The same, but each name is asked about only once."""
        if not wanted.agents and wanted.actor is None:
            return wanted
        agents = [agent for agent in wanted.agents if agent not in self._met]
        actor = None if self._has_met_actor else wanted.actor
        self._met.update(agents)
        self._has_met_actor |= actor is not None
        return wanted._replace(agents=agents, actor=actor)

    def saw(self, positions: Iterable[str]) -> None:
        """Note that the current command has read of these positions."""
        self.seen = max((self.seen, *map(Position, positions)), key=seq_of)

    def _head(self, task_id: str) -> tuple[int, Position]:
        head = self._store.head(task_id)
        self.saw([head[1]])
        return head

    def version(self, task_id: str) -> int:
        """The version of the task's last event; 0 if it never existed."""
        if self.look is not None and task_id in self.look:
            return self.look.version(task_id)
        return self._head(task_id)[0]

    def get(self, task_id: str) -> Task | None:
        """The task from its snapshot; None if its key is missing or not a string. SnapshotDamagedError."""
        if self.look is not None and task_id in self.look:
            return self.look.get(task_id)
        return self._live.get(task_id)

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order."""
        if self.look is not None and prefix in self.look.prefixes and limit <= PREFIX_IDS_MAX:
            return self.look.prefixes[prefix][:limit]
        return self._live.find(prefix, limit=limit)

    def find_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """Alias -> id, for those of `aliases` whose task was adopted; other ids are computed."""
        if self.look is not None and all(alias in self.look.aliases for alias in aliases):
            return {alias: task_id for alias in aliases if (task_id := self.look.aliases[alias]) is not None}
        return self._live.find_aliases(aliases)

    def count_children(self, task_id: str) -> int:
        """How many tasks are right below it."""
        if self.look is not None and task_id in self.look:
            children = self.look.children(task_id)
            if children is not None:
                return children
        return self._live.count_children(task_id)

    def may_be_linked_to(self, task_id: str) -> bool:
        """Whether a link of another task may lead to it; it does not if this is False."""
        return self.look is None or task_id not in self.look or self.look.is_linked_to(task_id)

    def load(self, task_id: str) -> tuple[Task | None, int]:
        """The task and its version now; None if it never existed (version 0) or was removed.

        SnapshotDamagedError; TaskDamagedError if no command can make the event that should have created it.
        """
        looked = self._as_looked_at(task_id)
        if looked is not None:
            return looked
        version, position = self._head(task_id)
        state = self._live.get(task_id)
        if version == 0:
            if state is not None:
                raise HeadLostError(self._keys.heads, task_id)
            return None, 0
        if state is None or state.version != version:
            self._upkeep.catch_up(position)
            state = self._live.get(task_id)
        if state is None:
            last = self._store.last_event(task_id)
            if last is not None and isinstance(last.data, TaskRemoved):
                return None, last.version
            if last is not None and last.position != position:
                # It was removed and made again between the two looks.
                return self.load(task_id)
            damage = damage_of_absent(self._store.history(task_id))
            if damage is not None:
                raise damage
            raise self._live.loss_of(task_id)
        if not version <= state.version <= self._head(task_id)[0]:
            raise SnapshotDamagedError(
                self._keys.task(task_id), f"is at version {state.version}, and the ledger at version {version}"
            )
        return state, state.version

    def _as_looked_at(self, task_id: str) -> tuple[Task | None, int] | None:
        """As `load`, from the look at the start of the command; None if that does not give a clear answer."""
        if self.look is None or task_id not in self.look:
            return None
        state, version = self.look.get(task_id), self.look.version(task_id)
        return (state, version) if version == (0 if state is None else state.version) else None

    def load_many(self, task_ids: Sequence[str]) -> list[tuple[Task | None, int]]:
        """As `load`, for many tasks in a few calls, removed ones too. Unclear cases go through `load`."""
        if self.look is not None and all(task_id in self.look for task_id in task_ids):
            return [self.load(task_id) for task_id in task_ids]
        heads = [head for chunk in _chunks(task_ids) for head in self._store.heads(chunk)]
        self.saw(position for _, position in heads)
        states = self._live.get_many(task_ids)
        found = list(zip(task_ids, states, heads, strict=True))
        removed = self._removed({task_id: head for task_id, state, head in found if state is None and head[0]})
        return [
            (state, version)
            if task_id in removed or version == (0 if state is None else state.version)
            else self.load(task_id)
            for task_id, state, (version, _) in found
        ]

    def _removed(self, heads: Mapping[str, tuple[int, Position]]) -> frozenset[str]:
        """The ids of tasks whose last event, according to their heads, removed them at that version."""
        last = {
            event.task: event
            for chunk in _chunks(list(heads))
            for event in self._store.events_at([heads[task_id][1] for task_id in chunk])
        }
        return frozenset(
            task_id
            for task_id, (version, _) in heads.items()
            if task_id in last and last[task_id].version == version and isinstance(last[task_id].data, TaskRemoved)
        )


def _chunks(task_ids: Sequence[str], size: int = 1_000) -> Iterator[Sequence[str]]:
    return (task_ids[start : start + size] for start in range(0, len(task_ids), size))
