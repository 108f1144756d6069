"""Survey: the first pass of a migration over a server. It finds what is there and what to do about it.

Writes nothing. It keeps a little of each task: what orders it among the others, where its records are, its parent and
its alias. What is already adopted does not change the order, and so the batches, of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar

from msgspec import Struct

from ledger import BEGINNING, EventStore, Keys, OldRecord, Position, TaskAdopted, task_id_of_alias
from projections import LiveBoard, is_snapshot
from town.migration.old_reader import GONE, SCAN_KEYS_COUNT, OldReader, size_of
from town.migration.old_records import BARE_BACKLOG, Form, KeyKind, OldKeys, OldTask, read_agent_name, read_record
from town.plans.plan import find_circles, is_uuid

ADOPTED_EVENTS_MAX: Final = 500
ADOPTED_BYTES_MAX: Final = 8 * 1024 * 1024
_CAPITALS: Final = "the id in its name has capitals, and a task's has none"

MigrationProgress = Callable[[str, int, int], None]
"""Called with the present activity (`Looking`, `Adopting`), how much of it is done, and how much there is."""
Item = TypeVar("Item")


class Skipped(Struct, frozen=True):
    """A key that was not read as a task, and why."""

    key: str
    why: str


class Irregular(Struct, frozen=True):
    """A task that is adopted although something about it is wrong or did not fit."""

    task_id: str
    what: str


class MigrationPreview(Struct, frozen=True, kw_only=True):
    """What a migration found, and so would do.

    `forms` counts records by their kind, in words. `backlog` counts the tasks that the lists name, `finished` the
    records of tasks that are adopted already, `set_aside` the unreadable keys in the place of our snapshots, and
    `overwritten` the snapshots that something was written over. `unadopted` are the keys under `tt:<town>:legacy:` that
    an earlier migration set aside without adopting. `unnamed_agents` are the UUIDs of agents for which no key has a
    name, and how many tasks name each.
    """

    tasks: int
    forms: Mapping[str, int]
    agents: int
    backlog: int
    backlog_keys: tuple[str, ...]
    finished: int
    set_aside: int
    overwritten: int
    is_projected_anew: bool
    skipped: tuple[Skipped, ...]
    irregular: tuple[Irregular, ...]
    unadopted: tuple[str, ...]
    unnamed_agents: Mapping[str, int]

    @property
    def bare_records(self) -> int:
        """How many records name no town."""
        return sum(count for form, count in self.forms.items() if "without a town" in form)

    @property
    def has_bare_backlog(self) -> bool:
        """Whether one of the backlog's lists names no town."""
        return BARE_BACKLOG in self.backlog_keys

    @property
    def has_work(self) -> bool:
        """Whether a migration would write anything."""
        return self.has_old_keys or self.is_projected_anew

    @property
    def has_old_keys(self) -> bool:
        """Whether a migration would copy or rename any key."""
        return bool(self.tasks or self.finished or self.set_aside or self.overwritten or self.backlog_keys)


class SurveyedTask(Struct, gc=False):
    """What the first pass keeps of a task. `places` has a byte for each record: twice its form, plus 1 for a hash."""

    id: str
    created_ms: int
    updated_ms: int
    form: int
    size: int
    places: bytes

    @property
    def forms(self) -> tuple[Form, ...]:
        """Where the task's records lie, newest form first."""
        return _forms_of(self.places)


# Only few combinations of places occur.
@lru_cache(maxsize=1_024)
def _forms_of(places: bytes) -> tuple[Form, ...]:
    return tuple(Form(value) for value in sorted({place // 2 for place in places}))


# Many tasks share few agents, so keep one string for each agent.
_same: Final = lru_cache(maxsize=4_096)(lambda agent: agent)


class Survey:
    """The old tasks of one town, read by `reader`.

    `is_elsewhere` means that it reads another server. `old_name` is the town's name in Tinytown's keys, `alias_town` the name
    that ids of aliases are computed from. `checkpoint` returns the position of the town's snapshots.
    """

    def __init__(
        self,
        reader: OldReader,
        keys: Keys,
        *,
        old_name: str,
        alias_town: str,
        store: EventStore,
        live: LiveBoard,
        checkpoint: Callable[[], Position],
        is_elsewhere: bool,
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._alias_town = alias_town
        self._store = store
        self._live = live
        self._checkpoint_now = checkpoint
        self._is_elsewhere = is_elsewhere
        self._old_keys = OldKeys(old_name)
        self._prefixes = {form: form.prefix(old_name, KeyKind.TASK) for form in Form}
        # False with a hash tag, and if Tinytown has another name for the town.
        self._is_in_place = not is_elsewhere and self._prefixes[Form.TOWN] == keys.task("")
        self.entries: dict[str, SurveyedTask] = {}
        self.finished: list[str] = []
        """Keys of records that are adopted already but not yet set aside."""
        self.overwritten: list[str] = []
        """Keys of snapshots of the ledger's tasks that something was written over."""
        self._checkpoint = BEGINNING
        self._agents: dict[Form, dict[str, str]] = {form: {} for form in Form}
        self._backlogs: dict[Form, tuple[str, list[str]]] = {}
        self._in_our_place: dict[str, str] = {}
        self._unadopted: list[str] = []
        self._parents: dict[str, str] = {}
        self._wanted_aliases: dict[str, str] = {}
        self._holders: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._at_top: set[str] = set()
        self._forms: Counter[str] = Counter()
        self._skipped: dict[str, str] = {}
        self._irregular: dict[str, dict[str, None]] = {}

    # --- looking -----------------------------------------------------------------------------------------------

    def look(self, *, progress: MigrationProgress | None = None) -> None:
        """Look at every key, once; writes nothing."""
        # Read this first: then every event up to here has its snapshot when the scan reaches it.
        self._checkpoint = self._checkpoint_now()
        total, done = self._reader.count_keys(), 0
        for names in self._reader.scan():
            self._look_at(names)
            done += len(names)
            if progress is not None:
                progress("Looking", min(done, total), total)
        self._choose_aliases()
        self._look_at_parents()

    def _look_at(self, names: Sequence[bytes]) -> None:
        tasks: list[tuple[str, str, Form]] = []
        agents: list[tuple[str, str, Form]] = []
        legacy = self._keys.legacy("")
        kept: list[tuple[str, str]] = []
        for name in names:
            try:
                key = name.decode()
            except UnicodeDecodeError:
                # Not a key of Tinytown's.
                continue
            old = self._old_keys.kind_of(key.removeprefix(legacy))
            if old is None:
                if self._old_keys.has_capitals(key):
                    self._skipped[key] = _CAPITALS
                continue
            if key.startswith(legacy):
                if old.kind is KeyKind.TASK:
                    kept.append((key, old.id))
            elif old.kind is KeyKind.TASK:
                tasks.append((key, old.id, old.form))
            elif old.kind is KeyKind.AGENT:
                agents.append((key, old.id, old.form))
            else:
                self._look_at_backlog(key, old.form)
        self._look_at_agents(agents)
        self._look_at_tasks(tasks)
        if not self._is_elsewhere:
            versions = self.versions([id_ for _, id_ in kept])
            # An interrupted migration made the copy of a record that is about to be adopted.
            self._unadopted += [key for key, id_ in kept if not versions[id_]]

    def _look_at_agents(self, agents: Sequence[tuple[str, str, Form]]) -> None:
        for (key, id_, form), record in zip(agents, self._reader.read([key for key, _, _ in agents]), strict=True):
            if isinstance(record, str):
                if record != GONE:
                    self._skipped[key] = record
            elif (name := read_agent_name(record)) is not None:
                self._agents[form][id_] = name
            else:
                self._skipped[key] = "it names no agent"

    def _look_at_backlog(self, key: str, form: Form) -> None:
        items = self._reader.read_list(key)
        if isinstance(items, str):
            self._skipped[key] = items
        else:
            self._backlogs[form] = key, [item.strip().lower() for item in items]

    def _look_at_tasks(self, found: Sequence[tuple[str, str, Form]]) -> None:
        heads = self.heads([id_ for _, id_, _ in found if id_])
        wanted: list[tuple[str, str, Form]] = []
        known: list[tuple[str, str]] = []
        places: list[str] = []
        for key, id_, form in found:
            version, position = heads.get(id_, (0, BEGINNING))
            if not id_:
                why = _CAPITALS if self._old_keys.has_capitals(key) else "its name does not end in a task's id"
                self._skip(key, why, form, id_)
            elif not version:
                wanted.append((key, id_, form))
            elif not self.is_our_place(key, id_):
                known.append((id_, key))
            elif position <= self._checkpoint:
                places.append(key)
        self.finished += self.judge(known)
        self._look_at_places(places)
        for (key, id_, form), record in zip(wanted, self._reader.read([key for key, _, _ in wanted]), strict=True):
            if isinstance(record, str):
                self._skip(key, record, form, id_)
                continue
            try:
                self._keep(read_record(record, id_), record, form)
            except ValueError as error:
                self._skip(key, str(error), form, id_, is_snapshot=_is_snapshot(record))

    def _look_at_places(self, keys: Sequence[str]) -> None:
        """Note the keys where the ledger's tasks should have snapshots but something else lies."""
        for key, record in zip(keys, self._reader.read(keys), strict=True):
            if isinstance(record, str):
                if record == GONE:
                    continue
                why = record
            elif _is_snapshot(record):
                continue
            else:
                why = "it was written over a snapshot of the ledger's"
            self._skipped[key] = f"{why}; the ledger has the task already"
            self.overwritten.append(key)

    def _keep(self, old: OldTask, record: OldRecord, form: Form) -> None:
        """Keep what orders the record's task among the others."""
        is_hash = record.type == "hash"
        place = bytes([2 * form.value + is_hash])
        entry = self.entries.get(old.id)
        if entry is None:
            entry = SurveyedTask(old.id, old.created_ms, old.updated_ms, form.value, 0, b"")
            self.entries[old.id] = entry
            is_read = True
        elif place in entry.places:
            # SCAN may return a key twice.
            return
        else:
            is_read = (old.updated_ms, -form.value) > (entry.updated_ms, -entry.form)
        entry.places += place
        entry.size += size_of(record)
        self._forms[_form_words(form, is_hash=is_hash)] += 1
        if is_read:
            entry.created_ms, entry.updated_ms, entry.form = old.created_ms, old.updated_ms, form.value
            for kept, value in (
                (self._parents, old.parent_id),
                (self._wanted_aliases, old.alias),
                (self._holders, None if old.assigned_to is None else _same(old.assigned_to)),
            ):
                if value is None:
                    kept.pop(old.id, None)
                else:
                    kept[old.id] = value
            self._irregular.pop(old.id, None)
            for irregularity in old.irregularities:
                self._note(old.id, irregularity)

    def _skip(self, key: str, why: str, form: Form, task_id: str, *, is_snapshot: bool = False) -> None:
        self._skipped[key] = why
        if form is Form.TOWN and not is_snapshot and self._is_in_place:
            self._in_our_place[key] = task_id

    def _note(self, task_id: str, what: str) -> None:
        self._irregular.setdefault(task_id, {})[what] = None

    def _choose_aliases(self) -> None:
        """Of the tasks with the same plan tag, the last updated one gets the alias, unless a task has it already."""
        winners: dict[str, tuple[int, str]] = {}
        for task_id, alias in self._wanted_aliases.items():
            candidate = self.entries[task_id].updated_ms, task_id
            winners[alias] = max(winners.get(alias, candidate), candidate)
        for aliases in batches(winners, ADOPTED_EVENTS_MAX):
            taken = self.taken_aliases(aliases)
            for alias in aliases:
                if alias not in taken:
                    self._aliases[winners[alias][1]] = alias
        for task_id, alias in self._wanted_aliases.items():
            if task_id not in self._aliases:
                winner = winners[alias][1]
                if self._aliases.get(winner) == alias:
                    self._note(task_id, f"task {winner}, which is newer, gets the alias {alias!r}; the tag stays")
                else:
                    self._note(task_id, f"a task has the alias {alias!r} already; the tag stays")

    def taken_aliases(self, aliases: Sequence[str]) -> set[str]:
        """Those of `aliases` that a task of the ledger has or had, by its id or by adoption."""
        adopted_ones = self._live.find_aliases(aliases)
        computed = {alias: task_id_of_alias(self._alias_town, alias) for alias in aliases}
        versions = self.versions(list(computed.values()))
        return {alias for alias in aliases if alias in adopted_ones or versions[computed[alias]]}

    def _look_at_parents(self) -> None:
        """Note missing parents. Of the tasks on a circle, the first that is adopted goes to the top."""
        outside = {parent for parent in self._parents.values() if parent not in self.entries}
        missing: set[str] = set()
        for parents in batches(sorted(outside), SCAN_KEYS_COUNT):
            versions = self.versions(parents)
            missing |= {parent for parent in parents if not versions[parent]}
        for task_id, parent in self._parents.items():
            if parent in missing:
                self._note(task_id, f"its parent {parent} is not there")
        if self._parents:
            above = self._above(parent for parent in outside if parent not in missing) | self._parents
            for circle in find_circles([entry.id for entry in self._ordered()], above):
                if circle[0] not in self.entries:
                    continue
                self._at_top.add(circle[0])
                self._note(circle[0], "it lies below itself, in a circle; it goes to the top")

    def _above(self, parents: Iterable[str]) -> dict[str, str]:
        """Task -> parent, for tasks of the ledger above the old tasks.

        An old task that waited for its parent may close a circle.
        """
        above: dict[str, str] = {}
        unseen = list(parents)
        while unseen:
            found = [task for task in self._live.get_many(unseen) if task is not None and task.parent_id is not None]
            above |= {task.id: str(task.parent_id) for task in found}
            unseen = [task_id for task_id in dict.fromkeys(above[each.id] for each in found) if task_id not in above]
            unseen = [task_id for task_id in unseen if task_id not in self.entries]
        return above

    def preview(self, *, is_projected_anew: bool) -> MigrationPreview:
        """What the survey found. `is_projected_anew` means that an older program wrote the snapshots and views."""
        return MigrationPreview(
            tasks=len(self.entries),
            forms=dict(sorted(self._forms.items())),
            agents=len(set().union(*self._agents.values())),
            backlog=len(self._backlog()),
            backlog_keys=tuple(self.backlog_keys),
            finished=len(self.finished),
            set_aside=sum(1 for task_id in self._in_our_place.values() if task_id not in self.entries),
            overwritten=len(self.overwritten),
            is_projected_anew=is_projected_anew,
            skipped=self.skipped_keys(),
            irregular=self.irregular_tasks(),
            unadopted=tuple(sorted(key for key in self._unadopted if key.rpartition(":")[2] not in self.entries)),
            unnamed_agents=self._unnamed_agents(),
        )

    def _unnamed_agents(self) -> dict[str, int]:
        counts = Counter(self._holders.values())
        return {agent: counts[agent] for agent in sorted(counts) if is_uuid(agent) and self.agent_name(agent) == agent}

    def skipped_keys(self) -> tuple[Skipped, ...]:
        return tuple(Skipped(key, why) for key, why in sorted(self._skipped.items()))

    def irregular_tasks(self) -> tuple[Irregular, ...]:
        return tuple(Irregular(task_id, what) for task_id, found in sorted(self._irregular.items()) for what in found)

    # --- the order ---------------------------------------------------------------------------------------------

    def _backlog(self) -> list[str]:
        """The tasks that the backlog's lists name, each once, the older list first."""
        named = [item for form in (Form.BARE, Form.TOWN) for item in self._backlogs.get(form, ("", []))[1]]
        return list(dict.fromkeys(named))

    def _ordered(self) -> list[SurveyedTask]:
        """All tasks by age, then by id.

        Tasks of the backlog keep the backlog's order among themselves. A task of the backlog counts as old as the
        oldest one at or behind its place. So the order of the rest stays the same after the first tasks are adopted,
        and an interrupted migration goes on as if nothing had happened.
        """
        ranks: dict[str, tuple[int, int]] = {}
        oldest_ms: int | None = None
        backlog = self._backlog()
        for number in reversed(range(len(backlog))):
            entry = self.entries.get(backlog[number])
            if entry is not None:
                oldest_ms = entry.created_ms if oldest_ms is None else min(oldest_ms, entry.created_ms)
                ranks[entry.id] = oldest_ms, number
        return sorted(self.entries.values(), key=lambda entry: (*ranks.get(entry.id, (entry.created_ms, -1)), entry.id))

    def parts(self) -> Iterator[list[SurveyedTask]]:
        """The tasks in order, in parts that fit into one append."""
        part: list[SurveyedTask] = []
        size = 0
        for entry in self._ordered():
            if part and (len(part) >= ADOPTED_EVENTS_MAX or size + entry.size > ADOPTED_BYTES_MAX):
                yield part
                part, size = [], 0
            part.append(entry)
            size += entry.size
        if part:
            yield part

    # --- what a migration asks ---------------------------------------------------------------------------------

    @property
    def backlog_keys(self) -> list[str]:
        """The lists to set aside at the end."""
        return [] if self._is_elsewhere else sorted(key for key, _ in self._backlogs.values())

    def unreadable_in_our_place(self) -> list[str]:
        """Unreadable keys in the place of snapshots, of tasks that the ledger does not have."""
        task_ids = [task_id for task_id in self._in_our_place.values() if task_id]
        versions = self.versions(task_ids)
        return sorted(key for key, task_id in self._in_our_place.items() if not task_id or not versions[task_id])

    def key(self, task_id: str, form: Form) -> str:
        """The key of the task's record of this form."""
        return f"{self._prefixes[form]}{task_id}"

    def is_our_place(self, key: str, task_id: str) -> bool:
        """Whether the key, on this town's server, is the place of the task's snapshot."""
        return not self._is_elsewhere and key == self._keys.task(task_id)

    def has_something_in_our_place(self, entry: SurveyedTask) -> bool:
        """Whether to keep a copy of what is in the place of the task's future snapshot."""
        # If the records come from another server, anything may be here.
        return self._is_elsewhere or Form.TOWN in entry.forms or self._keys.task(entry.id) in self._in_our_place

    def goes_to_top(self, task_id: str) -> bool:
        """Whether the task's parent is left out because the two lie on a circle."""
        return task_id in self._at_top

    def agent_name(self, agent: str) -> str:
        """The name of the agent with this UUID, in the town or from before there were towns; else the text itself."""
        names = (self._agents[form].get(agent.lower()) for form in Form)
        return next((name for name in names if name is not None), agent)

    def aliases_still_free(self, task_ids: Sequence[str]) -> dict[str, str]:
        """Task -> its alias, for those that get one."""
        aliases = {task_id: self._aliases[task_id] for task_id in task_ids if task_id in self._aliases}
        taken = self.taken_aliases(list(aliases.values())) if aliases else set()
        for task_id, alias in aliases.items():
            if alias in taken:
                self._note(task_id, f"a task has the alias {alias!r} already; the tag stays")
        return {task_id: alias for task_id, alias in aliases.items() if alias not in taken}

    def judge(self, known: Iterable[tuple[str, str]]) -> list[str]:
        """For (task, key) of tasks that the ledger has: the keys that the tasks were adopted from.

        Reports the others as skipped.
        """
        return [key for part in batches(known, ADOPTED_EVENTS_MAX) for key in self._judge(part)]

    def _judge(self, known: Sequence[tuple[str, str]]) -> list[str]:
        finished: list[str] = []
        for (task_id, key), record in zip(known, self._reader.read([key for _, key in known]), strict=True):
            if record == GONE:
                continue
            first = next(iter(self._store.history(task_id)), None)
            records = first.data.records if first is not None and isinstance(first.data, TaskAdopted) else None
            if records is None:
                self._skipped[key] = f"the ledger has task {task_id} already, and not from an old record"
            elif record not in records:
                self._skipped[key] = f"the ledger has task {task_id} already, from a record that reads otherwise"
            elif not self._is_elsewhere:
                finished.append(key)
        return finished

    def skip(self, key: str, why: str) -> None:
        """Report a key as skipped, and why."""
        self._skipped[key] = why

    def versions(self, task_ids: Sequence[str]) -> dict[str, int]:
        """Task -> its version in the ledger, 0 if it has none."""
        return {task_id: version for task_id, (version, _) in self.heads(task_ids).items()}

    def heads(self, task_ids: Sequence[str]) -> dict[str, tuple[int, Position]]:
        """Task -> version and position of its last event."""
        return dict(zip(task_ids, self._store.heads(task_ids), strict=True))


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of 1 to `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _is_snapshot(record: OldRecord) -> bool:
    return isinstance(record.value, str) and is_snapshot(record.value.encode())


def _form_words(form: Form, *, is_hash: bool) -> str:
    kind = "Hash" if is_hash else "JSON"
    return f"{kind} of the town" if form is Form.TOWN else f"{kind} without a town"
