"""Look: reads in one call whether a town is caught up, and some of its tasks. Most commands begin with this."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import (
    BEGINNING,
    Keys,
    LedgerError,
    Position,
    ReplyTooLargeError,
    StoreUnavailableError,
    Task,
    parse_head,
    redis_errors,
)
from projections.checkpoint import FIELDS, Checkpoint, Checkpoints, parse_checkpoint
from projections.lease import PROJECTOR, is_gone
from projections.lua.look import LookKeys, LookScript, NamesAsked, TaskSeen
from projections.readiness import Known
from projections.snapshots import decode_snapshot
from projections.views.by_agent import ByAgent
from projections.views.by_alias import ByAlias
from projections.views.by_link import ByLink
from projections.views.by_parent import ByParent
from projections.views.ids import Ids
from projections.views.ready import BLOCKED, LATER, Counts, Gate, Ready, time_of

if TYPE_CHECKING:
    from redis import Redis

PREFIX_IDS_MAX: Final = 5
"""How many ids are returned for one prefix, at most."""


ACTOR_EVENTS_MAX: Final = 250
"""In how many of the last events an actor is looked for."""


class Wanted(NamedTuple):
    """What to read: tasks by id, by the alias they were adopted with, and by a prefix of their id.

    `agents` and `actor` are names that the user gave, which may be new to the town.
    """

    task_ids: Sequence[str] = ()
    aliases: Sequence[str] = ()
    prefixes: Sequence[str] = ()
    agents: Sequence[str] = ()
    actor: str | None = None


NOTHING: Final = Wanted()


class Look:
    """A town that was caught up, and what was read from it.

    `aliases` has the id of the adopted task for each alias, or None; `prefixes` has the ids that begin with each prefix.
    `new_agents` have no task yet; `is_actor_new` is set if the actor caused none of the last events.
    """

    def __init__(
        self,
        keys: Keys,
        checkpoints: list[Checkpoint],
        *,
        has_worker: bool,
        tasks: Mapping[str, TaskSeen],
        aliases: Mapping[str, str | None],
        prefixes: Mapping[str, list[str]],
        new_agents: Sequence[str] = (),
        is_actor_new: bool = False,
    ) -> None:
        self._keys = keys
        self._tasks = tasks
        self.checkpoints = checkpoints
        self.has_worker = has_worker
        """Whether a worker projects this town, so that a command leaves it a moment to do so."""
        self.aliases = aliases
        self.prefixes = prefixes
        self.new_agents = new_agents
        self.is_actor_new = is_actor_new
        self.missing = ""
        """The first position that was told and where no event is; empty if all that were asked for are there."""

    @property
    def position(self) -> Position:
        """The position of the last event, and of the checkpoints."""
        return self.checkpoints[0].position

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def version(self, task_id: str) -> int:
        """The version of the task's last event; 0 if it never existed. LedgerDamagedError."""
        head = self._tasks[task_id].head
        return parse_head(head or None)[0]

    def get(self, task_id: str) -> Task | None:
        """A new copy of the task; None if its key is missing or not a string. SnapshotDamagedError."""
        snapshot = self._tasks[task_id].snapshot
        return decode_snapshot(snapshot, key=self._keys.task(task_id)) if snapshot else None

    def is_free(self, task_id: str) -> bool:
        """Whether the key of the task's snapshot is free."""
        return self._tasks[task_id].snapshot == b""

    def children(self, task_id: str) -> int | None:
        """How many tasks are right below it; None if their key is not a set."""
        children = self._tasks[task_id].children
        return None if children < 0 else children

    def is_linked_to(self, task_id: str) -> bool:
        """Whether a link of another task leads to it."""
        return self._tasks[task_id].kinds_to_it > 0

    def known(self, *, touched: Collection[str]) -> Known | None:
        """What `readiness.settle` need not ask about the tasks, of which it has those that are `touched`.

        None if a key does not hold what it should. SnapshotDamagedError.
        """
        known = Known.nothing()
        for task_id, seen in self._tasks.items():
            if not seen.has_times or min(seen.open_children, seen.dependents, seen.is_blocked) < 0:
                return None
            known.counts[task_id] = Counts(seen.open_children, seen.dependents)
            known.gates[task_id] = Gate(bool(seen.is_blocked), time_of(seen.from_ms))
            if task_id not in touched:
                known.tasks[task_id] = self.get(task_id)
        return known


class Looker:
    """Looks at one town. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, checkpoints: Checkpoints, *, where: str = "redis") -> None:
        self._keys = keys
        self._checkpoints = checkpoints
        self._where = where
        self._script = LookScript(client)
        self._looked_at = LookKeys(
            ledger=keys.ledger,
            heads=keys.heads,
            lease=keys.lease(PROJECTOR),
            ids=keys.view(Ids.name),
            aliases=keys.view(ByAlias.name),
            open_children=keys.view(ByParent.name),
            dependents=keys.view(ByLink.name),
            blocked=keys.view(Ready.name, BLOCKED),
            later=keys.view(Ready.name, LATER),
            checkpoints=checkpoints.keys,
            snapshots=keys.task(""),
            children=keys.view(ByParent.name, ""),
            agents=keys.view(ByAgent.name, ""),
        )

    def look(self, wanted: Wanted, *, told: Sequence[str] = ()) -> Look | None:
        """What is wanted; None if there is something to project, finish or refuse, which catching up does, or if it is too much.

        `told` are positions that were told, the last one first. Source: look.lua.
        """
        try:
            with redis_errors(self._where):
                seen = self._script(
                    self._looked_at,
                    fields=FIELDS,
                    task_ids=wanted.task_ids,
                    aliases=wanted.aliases,
                    prefixes=wanted.prefixes,
                    ids_max=PREFIX_IDS_MAX,
                    names=NamesAsked(wanted.agents, wanted.actor, ACTOR_EVENTS_MAX),
                    told=told,
                )
            first = parse_checkpoint([value or None for value in seen.checkpoint]) if seen.checkpoint else None
            stored = [first, *(_other(text, first) for text in seen.others)]
            sound = self._checkpoints.sound(stored)
        except ReplyTooLargeError:
            # The tasks are large, and are read one by one after catching up.
            return None
        except StoreUnavailableError as error:
            if not error.has_refused:
                raise
            return None
        except LedgerError:
            return None
        end = Position(seen.end, "ascii") if seen.end else BEGINNING
        if seen.last != seen.end or sound[0].position != end or sound[0].rebuild is not None:
            return None
        look = Look(
            self._keys,
            sound,
            has_worker=_is_held(seen.holder, seen.remaining_ms),
            tasks=seen.tasks,
            aliases={
                alias: task_id.decode(errors="replace") or None
                for alias, task_id in zip(wanted.aliases, seen.adopted, strict=True)
            },
            prefixes={
                prefix: [task_id.decode(errors="replace") for task_id in found]
                for prefix, found in zip(wanted.prefixes, seen.found, strict=True)
            },
            new_agents=[agent for agent, has in zip(wanted.agents, seen.have_tasks, strict=True) if not has],
            is_actor_new=not seen.is_actor_seen,
        )
        look.missing = str(seen.missing, "ascii")
        return look


def _is_held(holder: bytes | None, remaining_ms: int) -> bool:
    """As `Lease.is_taken`. A key of another type counts as held: waiting for its holder then reports it."""
    if holder is None:
        return True
    return bool(holder) and remaining_ms >= 0 and not is_gone(holder.decode(errors="replace"))


def _other(text: bytes, first: Checkpoint | None) -> Checkpoint | None:
    """A checkpoint from position, schema version and generation, separated by blanks; None if they make none.

    Its position is nearly always that of the `first` one.
    """
    position, _, rest = text.partition(b" ")
    schema_version, _, generation = rest.partition(b" ")
    if first is None or position != first.position.encode():
        return parse_checkpoint([position, schema_version, generation, *[None] * 4]) if text else None
    if not schema_version.isdigit() or not generation.isdigit():
        return None
    return Checkpoint(position=first.position, schema_version=int(schema_version), generation=int(generation))
