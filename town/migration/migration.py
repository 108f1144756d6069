"""Migration: turns a town's tasks from before the ledger into events, from which all that readers see is folded.

It reads the records twice. The first pass keeps a little of each task: enough to order them all, and to say what there
is to do. The second reads them again, batch by batch, so that memory does not grow with what is in them:

    1  a record in the place of the task's future snapshot is copied under `tt:<town>:legacy:…`, in its present state,
       even if an earlier copy differs
    2  `task.adopted` is appended for the whole batch, guarded: the ledger does not have these tasks yet
    3  the batch is projected, which writes the snapshots
    4  records in other places are renamed under `tt:<town>:legacy:…`

The records of the next batch are read before step 1, and made into events while the server carries out step 2.

After the last batch it sets aside unreadable keys in the place of our snapshots, and then the backlog's lists. After a
crash at any step the next migration can go on: the ledger shows what is adopted, and the order and the batches of the
rest do not depend on what was adopted before. So any number may run at once; a lease avoids double work.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import Struct

from ledger import NewEvent, OldRecord, Position, TaskAdopted, WrongExpectedVersionError, task_id_of_alias
from projections import Lease, OutdatedProjectionError, SetAside, new_holder, no_garbage_collection
from town.backend import Backend
from town.migration.old_reader import SCAN_KEYS_COUNT, OldReader
from town.migration.old_records import OldTask, adopted, newest, read_record
from town.migration.survey import Irregular, MigrationPreview, MigrationProgress, Skipped, Survey, SurveyedTask, batches

if TYPE_CHECKING:
    from town.server.connection import Connection

ADOPT_ATTEMPTS_MAX: Final = 20
MIGRATION_WAIT_SECONDS_MAX: Final = 600.0
"""How long a migration waits for another one. After that it runs beside it, and some work is done twice."""
LEASE_NAME: Final = "migration"
_LEASE_POLL_SECONDS: Final = 0.05


class MigrationReport(Struct, frozen=True, kw_only=True):
    """The result of a migration: how many tasks it adopted, and how many old keys are set aside under `tt:<town>:legacy:`.

    `set_aside` of them were renamed, and `copied` lay where snapshots are now.
    `is_rebuilt` means that snapshots and views were rebuilt from the ledger.
    """

    adopted: int
    set_aside: int
    copied: int
    skipped: tuple[Skipped, ...]
    irregular: tuple[Irregular, ...]
    positions: tuple[Position, Position] | None
    is_rebuilt: bool
    seconds: float


class _Read(NamedTuple):
    """The records of some tasks: (task, key, record or why there is none), and the alias of each task that gets one."""

    part: Sequence[SurveyedTask]
    records: list[tuple[SurveyedTask, str, OldRecord | str]]
    aliases: dict[str, str]


class _Batch(NamedTuple):
    """The tasks of `part` that the ledger did not have yet: their events, and the keys to set aside after projecting
    them.

    `in_our_place` are the tasks with something in the place of their future snapshot.
    """

    part: Sequence[SurveyedTask]
    in_our_place: list[str]
    events: list[NewEvent]
    guards: dict[str, int]
    keys: list[str]


class _Written(NamedTuple):
    """The result of a batch: its first and last position, empty if nothing was left to adopt."""

    ends: tuple[Position, ...]
    adopted: int
    set_aside: int


class Migration:
    """Takes the old tasks of a town into its ledger. `source` is another server to read them from; it stays unchanged."""

    def __init__(self, backend: Backend, *, source: Connection | None = None) -> None:
        self._backend = backend
        self._client = backend.client
        self._keys = backend.keys
        self._store = backend.store
        self._live = backend.live
        self._upkeep = backend.upkeep
        self._where = backend.where
        self._lease = Lease(self._client, self._keys, holder=new_holder(), name=LEASE_NAME, where=self._where)
        self._aside = SetAside(self._client, self._keys, where=self._where)
        self._is_elsewhere = source is not None
        read_from = backend if source is None else source
        self._reader = OldReader(read_from.client, where=read_from.where)
        self._survey = self._new_survey()
        self._known: list[tuple[str, str]] = []
        self._copied = 0

    def _new_survey(self) -> Survey:
        return Survey(
            self._reader,
            self._keys,
            old_name=self._backend.old_name,
            alias_town=self._backend.alias_town,
            store=self._store,
            live=self._live,
            checkpoint=self._upkeep.projector.checkpoints.position,
            is_elsewhere=self._is_elsewhere,
        )

    def look(self, *, progress: MigrationProgress | None = None) -> MigrationPreview:
        """Look at what there is to migrate; writes nothing."""
        self._survey = self._new_survey()
        with no_garbage_collection():
            self._survey.look(progress=progress)
        return self._survey.preview(is_projected_anew=self._upkeep.find_outdated() is not None)

    def run(
        self, *, progress: MigrationProgress | None = None, on_wait: Callable[[], None] | None = None
    ) -> MigrationReport:
        """Adopt what `look` found.

        If another migration is running, call `on_wait` and wait for it. LedgerError if something is in the way: what
        was adopted until then stays, and the next migration goes on.
        """
        started = time.monotonic()
        if self._wait_for_turn(on_wait):
            self.look(progress=progress)
        with no_garbage_collection():
            return self._run(started, progress)

    def _run(self, started: float, progress: MigrationProgress | None) -> MigrationReport:
        try:
            is_rebuilt, set_aside = self._bring_up_to_date()
            written = self._adopt_all(progress)
            set_aside += sum(batch.set_aside for batch in written)
            set_aside += self._set_aside([*self._survey.finished, *self._survey.judge(self._known)])
            set_aside += self._set_aside(self._survey.unreadable_in_our_place())
            set_aside += self._set_aside(self._survey.backlog_keys)
        finally:
            self._lease.give_up()
        ends = [end for batch in written for end in batch.ends]
        self._backend.acks.confirm(ends[-1] if ends else None)
        return MigrationReport(
            adopted=sum(batch.adopted for batch in written),
            set_aside=set_aside,
            copied=self._copied,
            skipped=self._survey.skipped_keys(),
            irregular=self._survey.irregular_tasks(),
            positions=(ends[0], ends[-1]) if ends else None,
            is_rebuilt=is_rebuilt,
            seconds=time.monotonic() - started,
        )

    def _wait_for_turn(self, on_wait: Callable[[], None] | None) -> bool:
        """Take the lease. Returns whether somebody else had it."""
        deadline = time.monotonic() + MIGRATION_WAIT_SECONDS_MAX
        has_waited = False
        while not self._lease.take() and time.monotonic() < deadline:
            if not has_waited and on_wait is not None:
                on_wait()
            has_waited = True
            time.sleep(_LEASE_POLL_SECONDS)
        return has_waited

    def _bring_up_to_date(self) -> tuple[bool, int]:
        """Bring snapshots and views up to date. Returns whether they were rebuilt, and how many keys that set aside."""
        if not self._survey.overwritten:
            try:
                self._upkeep.catch_up()
            except OutdatedProjectionError:
                return True, self._upkeep.rebuild().set_aside
            return False, 0
        # Rebuild first: if this process is killed, the next command finishes it. A rebuild leaves records of removed
        # tasks.
        set_aside = self._upkeep.rebuild().set_aside
        return True, set_aside + len(self._aside.to_set_aside(dict.fromkeys(self._survey.overwritten)))

    def _adopt_all(self, progress: MigrationProgress | None) -> list[_Written]:
        """Adopt batch by batch; prepares the next batch while the server appends the previous one."""
        total, done = len(self._survey.entries), 0
        written: list[_Written] = []
        made: _Batch | None = None
        for part in chain(self._survey.parts(), [None]):
            self._lease.take()
            # Read before the append, because the server would finish the append first.
            read = None if part is None else self._read(part)
            appending = None if made is None else self._begin(made)
            following = None if read is None else self._make_batch(read)
            if made is not None and appending is not None:
                written.append(self._finish(made, appending))
                done += written[-1].adopted
                if progress is not None:
                    progress("Adopting", done, total)
            made = following
        return written

    def _begin(self, batch: _Batch) -> Callable[[], list[Position]]:
        """Copy what the snapshots will replace, and send the events. The returned function waits for their positions."""
        # Another migration may have adopted a task meanwhile and put its snapshot there.
        versions = self._survey.versions(batch.in_our_place)
        self._copied += self._aside.copy([task_id for task_id in batch.in_our_place if not versions[task_id]])
        if batch.events:
            return self._store.begin_append(batch.events, batch.guards)
        no_positions: Callable[[], list[Position]] = list
        return no_positions

    def _finish(self, batch: _Batch, appending: Callable[[], list[Position]]) -> _Written:
        """Wait for the append, project the events, and set aside the keys they were read from."""
        for remaining in reversed(range(ADOPT_ATTEMPTS_MAX)):
            try:
                positions = appending()
            except WrongExpectedVersionError:
                # Somebody else adopted one of them, or took an alias.
                if not remaining:
                    raise
                batch = self._make_batch(self._read(batch.part))
                appending = self._begin(batch)
                continue
            if not positions:
                return _Written((), 0, 0)
            self._upkeep.catch_up(positions[-1])
            return _Written((positions[0], positions[-1]), len(positions), self._set_aside(batch.keys))
        raise AssertionError("the last attempt returns or raises")

    def _read(self, part: Sequence[SurveyedTask]) -> _Read:
        """The records of those tasks that the ledger does not have."""
        versions = self._survey.versions([entry.id for entry in part])
        keys = [(entry, self._survey.key(entry.id, form)) for entry in part for form in entry.forms]
        self._known += [
            (entry.id, key)
            for entry, key in keys
            if versions[entry.id] and not self._survey.is_our_place(key, entry.id)
        ]
        keys = [(entry, key) for entry, key in keys if not versions[entry.id]]
        records = self._reader.read([key for _, key in keys])
        aliases = self._survey.aliases_still_free([entry.id for entry in part if not versions[entry.id]])
        return _Read(part, [(entry, key, record) for (entry, key), record in zip(keys, records, strict=True)], aliases)

    def _make_batch(self, read: _Read) -> _Batch:
        """The events to append for the tasks whose records were read. Asks the server nothing."""
        part, aliases = read.part, read.aliases
        found: dict[str, list[tuple[OldRecord, OldTask]]] = {}
        for entry, key, record in read.records:
            if isinstance(record, str):
                self._survey.skip(key, record)
                continue
            try:
                old = read_record(record, entry.id)
            except ValueError as error:
                # Another migration's snapshot may lie there by now.
                self._survey.skip(key, str(error))
                continue
            found.setdefault(entry.id, []).append((record, old))
        facts = {entry.id: self._fact(found[entry.id], aliases) for entry in part if entry.id in found}
        # Guard the ids that the aliases would lead to as well, so that no push of the same plan comes in between.
        guarded = [
            *facts,
            *(task_id_of_alias(self._backend.alias_town, aliases[task_id]) for task_id in facts if task_id in aliases),
        ]
        command = _command_id(self._keys.town, facts)
        return _Batch(
            part,
            [entry.id for entry in part if entry.id in found and self._survey.has_something_in_our_place(entry)],
            [
                NewEvent(task=id_, version=1, actor=self._backend.actor, command=command, data=fact)
                for id_, fact in facts.items()
            ],
            dict.fromkeys(guarded, 0),
            []
            if self._is_elsewhere
            else [
                record.key
                for id_, records in found.items()
                for record, _ in records
                if not self._survey.is_our_place(record.key, id_)
            ],
        )

    def _fact(self, found: Sequence[tuple[OldRecord, OldTask]], aliases: Mapping[str, str]) -> TaskAdopted:
        read = newest(found)
        record, old = found[read]
        others = (other for index, (other, _) in enumerate(found) if index != read)
        return adopted(
            old,
            (record, *others),
            agent_name=self._survey.agent_name,
            has_alias=old.alias is not None and aliases.get(old.id) == old.alias,
            has_parent=not self._survey.goes_to_top(old.id),
        )

    def _set_aside(self, keys: Sequence[str]) -> int:
        """Rename old keys under `tt:<town>:legacy:`, each to a free name. Returns how many existed."""
        return sum(len(self._aside.rename(names)) for names in batches(keys, SCAN_KEYS_COUNT))


def _command_id(town: str, facts: Mapping[str, TaskAdopted]) -> str:
    """The same id for the same events, so that an interrupted migration ends like one that was not interrupted."""
    digest = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
    return str(uuid5(NAMESPACE_URL, f"tinytown:{town}:adopt:{digest}"))
