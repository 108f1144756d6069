"""Recovery: looks at what is gone, appends again what can be, and keeps the rest until its loss is accepted.

What is appended goes to the very end that was looked at, in batches that are each all or none, so of two machines that recover
at once one looks again and finds the other one's events there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from ledger import (
    TOWN_ID,
    Chain,
    CommandRejectedError,
    Copier,
    EventStore,
    NewEvent,
    Position,
    TownRecovered,
    WrongExpectedEndError,
    WrongExpectedVersionError,
    encode_event,
    new_command_id,
    redis_errors,
)
from projections import Finding, FindingKind
from town.backend import Backend
from town.errors import OvertakenError, RecoveryRefusedError
from town.files.os_errors import refuse_os_errors
from town.files.whole_file import OWN_MODE, write_by_rename
from town.receipts.reading import AllReceipts, KeptEvent, places_of, read_receipts
from town.recovery.appending import entries_of
from town.recovery.finding import find_gap, find_gone
from town.recovery.gap import Fate, Gap, GoneEvent, Recovered

if TYPE_CHECKING:
    from pathlib import Path

RECOVER_ATTEMPTS_MAX: Final = 20
"""How often a recovery looks again because somebody else appended meanwhile."""
ACCEPTED_FILES_MAX: Final = 8
"""How many files of events whose loss was accepted are kept for a town."""
RECEIPTS_SAMPLED_MAX: Final = 16
ACCEPTED_SUFFIX: Final = ".lost.jsonl"


class Recovery:
    """Recovers one town, as the town's actor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store = backend.store
        self._receipts = backend.receipts

    def look(self) -> Gap:
        """What is gone, and what `recover` would do about it; nothing is written. FolderRefusedError, LedgerDamagedError."""
        return self._look()[0]

    def count_kept(self) -> int:
        """How many events this machine has receipts of. FolderRefusedError."""
        return len(self._read().events)

    def find_sampled(self) -> list[KeptEvent]:
        """As far as a few receipts from all over the file show: the events that are gone. FolderRefusedError."""
        events = self._read().events
        step = max(len(events) // RECEIPTS_SAMPLED_MAX, 1)
        return find_gone(self._store, events[::-step][::-1])

    def findings(self) -> list[Finding]:
        """What of the receipts is not in the ledger, each with its position. None where receipts are off, which the doctor says."""
        try:
            lost = self.look().lost
        except CommandRejectedError as error:
            self._receipts.problem = str(error)
            return []
        return [Finding(kind=FindingKind.RECEIPT, where=each.position, problem=_problem_of(each)) for each in lost]

    def recover(self) -> Recovered:
        """Append again what can be. What remains is kept, and writing is refused until its loss is accepted.

        LedgerDamagedError, StoreUnavailableError: the same call continues. WrongExpectedEndError after RECOVER_ATTEMPTS_MAX attempts.
        """
        for remaining in reversed(range(RECOVER_ATTEMPTS_MAX)):
            try:
                return self._run(*self._look())
            except WrongExpectedEndError:
                if not remaining:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def accept_loss(self, name: str) -> Recovered:
        """Go on without what is gone; its events are kept in a file, and `town.recovered` says so. `name` is the town's.

        RecoveryRefusedError: nothing was written. OvertakenError after RECOVER_ATTEMPTS_MAX attempts.
        """
        if name != self._backend.name:
            raise RecoveryRefusedError(name, self._backend.name)
        for remaining in reversed(range(RECOVER_ATTEMPTS_MAX)):
            try:
                return self._accept()
            except WrongExpectedVersionError as conflict:
                if not remaining:
                    raise OvertakenError(conflict, attempts=RECOVER_ATTEMPTS_MAX) from conflict
        raise AssertionError("the last attempt returns or raises")

    def _look(self) -> tuple[Gap, dict[str, KeptEvent]]:
        """The gap, and the events of the receipts by position: read once, because another recovery may settle them meanwhile."""
        self._receipts.renew()
        read = self._read()
        return find_gap(self._store, read, self._receipts.known), {each.at: each for each in read.events}

    def _run(self, gap: Gap, events: Mapping[str, KeptEvent]) -> Recovered:
        chosen = gap.of(Fate.APPENDED)
        if not chosen:
            self._settle(gap, gap.remaining, known=gap.end)
            return Recovered(gap)
        at, positions = self._append(gap, [events[each.position] for each in chosen])
        # A crash right here changes nothing: the next recovery finds them there, and settles them.
        self._settle(gap, gap.remaining, known=positions[-1])
        self._backend.upkeep.catch_up()
        return Recovered(gap, at, tuple(positions))

    def _accept(self) -> Recovered:
        gap, events = self._look()
        lost = gap.lost
        if not lost:
            return self._run(gap, events)
        known = [events[each.position] for each in lost if each.position in events]
        kept_in = str(self._keep(known)) if known else None
        fact = TownRecovered(first=lost[0].position, last=lost[-1].position, lost=len(lost), appended=0)
        version = self._store.head(TOWN_ID)[0] + 1
        event = NewEvent(task=TOWN_ID, version=version, actor=self._backend.actor, command=new_command_id(), data=fact)
        # Not with the town's own store: that one is held against what is lost.
        bare = EventStore(self._backend.client, self._backend.keys, where=self._backend.where)
        [at] = bare.append([event], {TOWN_ID: version - 1})
        self._receipts.keep(at, [encode_event(event)])
        self._settle(gap, [], known=at)
        self._backend.upkeep.catch_up()
        return Recovered(gap, at, is_accepted=True, kept_in=kept_in)

    def _append(self, gap: Gap, chosen: Sequence[KeptEvent]) -> tuple[Position, list[Position]]:
        """Append `town.recovered` and the events; returns its position and theirs. WrongExpectedEndError."""
        tasks = list(dict.fromkeys([TOWN_ID, *(each.task for each in gap.events if each.task)]))
        heads = {
            task: (version, str(at))
            for task, (version, at) in zip(tasks, self._store.heads(tasks), strict=True)
            if version
        }
        made = entries_of(
            gap.lost,
            chosen,
            after=gap.end,
            ms=max(gap.end.ms, self._now_ms()),
            heads=heads,
            actor=self._backend.actor,
            moved=gap.moved,
            nowhere=gap.nowhere,
        )
        copier = Copier(
            self._backend.client,
            self._backend.keys,
            chain=Chain(gap.end, heads),
            where=self._backend.where,
            receipts=self._receipts,
        )
        copier.copy(made.entries)
        return Position(made.entries[0][0], "ascii"), list(made.moved.values())

    def _settle(self, gap: Gap, left: Sequence[GoneEvent], *, known: Position) -> None:
        """Say nothing more of what is in the ledger again, or accepted. What is left goes on to be missed."""
        stays = {each.position for each in left}
        places = places_of([each.position for each in gap.events if each.position not in stays])
        with refuse_os_errors(self._receipts.path):
            if places or left:
                self._receipts.settle(left[-1].position if left else known, places)
        self._receipts.missed = gap.end if left else None

    def _keep(self, events: Sequence[KeptEvent]) -> Path:
        """Write events into a file of their own, for people; the oldest files go. FolderRefusedError."""
        path = self._receipts.path / f"{time.time_ns() // 1_000_000:013d}{ACCEPTED_SUFFIX}"
        lines = [b'{"position":"%s","event":%s}\n' % (each.at.encode(), each.payload) for each in events]
        with refuse_os_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_by_rename(path, b"".join(lines), mode=OWN_MODE)
            for old in sorted(path.parent.glob(f"*{ACCEPTED_SUFFIX}"))[:-ACCEPTED_FILES_MAX]:
                old.unlink(missing_ok=True)
        return path

    def _read(self) -> AllReceipts:
        with refuse_os_errors(self._receipts.path):
            return read_receipts(self._receipts.path)

    def _now_ms(self) -> int:
        with redis_errors(self._backend.where):
            seconds, microseconds = cast("tuple[int, int]", self._backend.client.time())
        return seconds * 1_000 + microseconds // 1_000


def _problem_of(event: GoneEvent) -> str:
    if event.fate is Fate.UNKNOWN:
        return "it was acknowledged here, and is gone"
    of = "the town" if event.task == TOWN_ID else f"task {event.task}"
    return f"{event.type} of {of}, version {event.version}, was acknowledged here, and is gone"
