"""Audit: reads a whole ledger and proves that nothing in it is missing or altered, or says where it is.

It folds as it reads and goes on over damage: versions that are missing are stepped over, events of a task whose creation
is lost are left out. What it folded so is the best that can be had (`tt rebuild --accept-loss`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from ledger import (
    BEGINNING,
    CREATIONS,
    STATES,
    Entry,
    EventDecodingError,
    EventStore,
    LedgerDamagedError,
    Position,
    RecordedEvent,
    SequenceGapError,
    Task,
    TaskAdopted,
    TaskCreated,
    TaskMoved,
    WrongKeyTypeError,
    decode_events,
    evolve_known,
    flaw_in,
    flaw_of,
    read_event,
    seq_of,
)
from projections.board import Board, Observe
from projections.errors import WRONG_KEY_TYPE_ADVICE


class FindingKind(StrEnum):
    """What a finding is about."""

    SEQUENCE = "sequence"
    VERSION = "version"
    PREV = "prev"
    EVENT = "event"
    HEAD = "head"
    CHECKPOINT = "checkpoint"
    SNAPSHOT = "snapshot"
    VIEW = "view"
    KEY = "key"
    OLD_TASK = "old task"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as promised: where (a position or a key), and in words what."""

    kind: FindingKind
    where: str
    problem: str


class Last(NamedTuple):
    """A task's last event so far."""

    version: int
    position: Position


_CREATION_TYPES: Final = frozenset({TaskCreated.type, TaskAdopted.type})
_NONE: Final = Last(0, BEGINNING)


def lost_after_end(store: EventStore, checkpoint: Position) -> SequenceGapError | None:
    """The error that tells of events after the ledger's end as it is now; None where nothing speaks of any.

    A stream that was deleted, or written anew, knows nothing of what it lost. That the snapshots' `checkpoint` and a head
    both lie after its end does: one of them alone was moved by hand. Source: HSCAN, where the checkpoint does.
    """
    if checkpoint <= store.end():
        return None
    try:
        highest = max((position for _, _, position in store.all_heads()), default=BEGINNING)
    except LedgerDamagedError:
        return None
    # After the heads, because others append meanwhile.
    end = store.end()
    if highest <= end:
        return None
    return SequenceGapError("last sequence number", end, expected=highest.seq, found=end.seq)


class _OutOfLineError(Exception):
    """An event does not follow what came before it."""


class Audit:
    """Folds a ledger's events onto `board`, and keeps what it finds wrong in `findings`."""

    def __init__(
        self, store: EventStore, *, observe: Observe | None = None, observe_sound: Observe | None = None
    ) -> None:
        """`observe` is called before each event is folded; `observe_sound` in its place, if given, where that is known to be sound."""
        self._store = store
        self._observe = observe
        self._observe_sound = observe if observe_sound is None else observe_sound
        self._orphans: dict[str, Last] = {}
        self._meant: dict[str, Task | None] = {}
        """Damaged tasks as they would be had every event of theirs been taken: by that the later ones are judged."""
        self._unsure: set[str] = set()
        """Those of them whose last event does not say what was meant; the next one that is sound does."""
        self._unmade: set[str] = set()
        """Tasks whose creation no command can make."""
        self._parents: set[str] = set()
        """Tasks that others were put below."""
        self.board = Board()
        self.findings: list[Finding] = []
        self.events = 0
        self.is_readable = True
        """Whether every entry was an event of this program; if not, what follows one that was not is unknown."""

    def read(self, *, upto: Position | None = None, progress: Callable[[Position], None] | None = None) -> None:
        """Read every event after what was read before, up to `upto` (None: those there are now). StoreUnavailableError."""
        for entries in self._store.read_entries(self.board.position, upto=upto):
            self.take(entries)
            if progress is not None:
                progress(self.board.position)

    def take(self, entries: Sequence[Entry]) -> None:
        """Take in the entries that come next, wherever they are from."""
        if not self._read_whole(entries):
            self._read_one_by_one(entries)
        self.events += len(entries)

    def last(self, task: str) -> Last | None:
        """The last event of a task, None where it never was."""
        state = self.board.get(task)
        if state is not None:
            return Last(state.version, state.position)
        removed = self.board.removed.get(task)
        return Last(*removed) if removed is not None else self._orphans.get(task)

    def check_end(self, checkpoint: Position) -> None:
        """That the last event that ever was is still there; the snapshots' `checkpoint` is a witness."""
        lost = self._store.lost_at_end() or lost_after_end(self._store, checkpoint)
        if lost is not None and lost.expected < lost.found:
            problem = f"the stream says that it ends at number {lost.expected}, and has events after that"
            self._find(FindingKind.SEQUENCE, lost.position, problem)
        elif lost is not None:
            self._find_missing_at_end(lost.position, lost.found + 1, lost.expected)

    def check_heads(self) -> None:
        """Compare every head with the last event of its task. Heads newer than what was read are left alone."""
        seen: set[str] = set()
        try:
            for task, version, position in self._store.all_heads():
                seen.add(task)
                state = self.board.tasks.get(task)
                if state is not None and state.version == version and state.at == position:
                    continue
                last = self.last(task)
                is_later = self.board.position < position <= self._store.end() and self._store.has(position)
                if is_later or last == (version, position):
                    continue
                known = "no event" if last is None else f"version {last.version} at {last.position}"
                problem = f"the head of task {task} says version {version}, and the ledger {known}"
                self._find(FindingKind.HEAD, position, problem)
        except WrongKeyTypeError as damage:
            self._find(FindingKind.HEAD, "the heads", f"{damage} {WRONG_KEY_TYPE_ADVICE}")
            return
        except LedgerDamagedError as damage:
            self._find(FindingKind.HEAD, "the heads", str(damage))
            return
        for task in (self.board.tasks.keys() | self.board.removed.keys() | self._orphans.keys()) - seen:
            self._find(FindingKind.HEAD, self.board.position, f"task {task} has events and no head")

    def _find_missing_at_end(self, position: str, first: int, last: int) -> None:
        missing = f"number {first} is" if first == last else f"numbers {first} to {last} are"
        self._find(FindingKind.SEQUENCE, position, f"sequence {missing} missing at the end")

    def _read_whole(self, entries: Sequence[Entry]) -> bool:
        """Take in a batch in which every entry is an event and no number is missing, as all are in a sound ledger."""
        try:
            events = decode_events(entries)
        except EventDecodingError:
            return False
        first = self.board.position.seq + 1
        if [seq_of(recorded.at) for recorded in events] != list(range(first, first + len(events))):
            return False
        taken = self._take_sound(events)
        while taken < len(events):
            self._take(events[taken])
            taken += 1 + self._take_sound(events[taken + 1 :])
        # Also where the last one is of a task whose creation is lost, which the board knows nothing of.
        self.board.position = events[-1].position
        return True

    def _read_one_by_one(self, entries: Sequence[Entry]) -> None:
        for position, fields in entries:
            place = Position(position, "ascii")
            self._check_sequence(place)
            try:
                self._take(read_event(position, fields))
            except EventDecodingError as error:
                self._find(FindingKind.EVENT, place, str(error))
                self.is_readable = False
            self.board.position = place

    def _check_sequence(self, place: Position) -> None:
        before = self.board.position
        expected = before.seq + 1
        if place.seq == expected:
            return
        if place.seq > expected:
            missing = f"{expected}" if place.seq == expected + 1 else f"{expected} to {place.seq - 1}"
            self._find(FindingKind.SEQUENCE, place, f"sequence number {missing} is missing after {before}")
        else:
            self._find(FindingKind.SEQUENCE, place, f"the sequence goes back from {before.seq} to {place.seq}")

    def _take_sound(self, events: Sequence[RecordedEvent]) -> int:
        """Fold the events up to the first that does not follow what came before it; how many those were."""
        observe_any, observe_sound = self._observe, self._observe_sound
        removed, orphans, taken = self.board.removed, self._orphans, 0

        def check(before: Task | None, recorded: RecordedEvent) -> None:
            nonlocal taken
            if before is not None:
                follows = recorded.version == before.version + 1 and recorded.prev == before.at
            else:
                is_first = recorded.task not in removed and recorded.task not in orphans
                follows = is_first and recorded.version == 1 and recorded.prev is None
            if not follows:
                raise _OutOfLineError
            taken += 1
            is_sound = self._judge(before, recorded)
            observe = observe_sound if is_sound else observe_any
            if observe is not None:
                observe(before, recorded)

        with suppress(_OutOfLineError):
            self.board.fold(events, observe=check)
        return taken

    def _take(self, recorded: RecordedEvent) -> None:
        """Fold an event that may not follow what came before it."""
        last = self.last(recorded.task) or _NONE
        if recorded.version != last.version + 1:
            problem = f"task {recorded.task} goes from version {last.version} to {recorded.version}"
            self._find(FindingKind.VERSION, recorded.position, problem)
        elif recorded.prev != (None if last is _NONE else last.position):
            problem = f"the event names {recorded.prev} as the one before it, and {last.position} is"
            self._find(FindingKind.PREV, recorded.position, problem)
        state = self.board.get(recorded.task)
        is_after_loss = recorded.version != last.version + 1 or recorded.task in self._orphans
        if is_after_loss:
            # What the task was right before it is unknown.
            self._tell(recorded, flaw_in(recorded))
        try:
            self.board.fold([recorded], observe=self._observe if is_after_loss else self._observe_judged)
            self._orphans.pop(recorded.task, None)
        except SequenceGapError:
            # That was told above, or when the task's creation was found to be lost.
            self._step_over(recorded, state)

    def _step_over(self, recorded: RecordedEvent, state: Task | None) -> None:
        """Fold an event that does not follow what came before it, as well as it can be."""
        task = recorded.task
        if state is None and type(recorded.data) not in CREATIONS:
            # Nothing is known of the task from here on but that it had this event.
            self.board.removed.pop(task, None)
            self._orphans[task] = Last(recorded.version, recorded.position)
            return
        if state is None or type(recorded.data) in CREATIONS:
            self.board.tasks.pop(task, None)
            self._orphans.pop(task, None)
            self.board.removed[task] = (recorded.version - 1, BEGINNING)
        else:
            state.version = recorded.version - 1
            _let_take(state, recorded)
        self._meant.pop(task, None)
        self.board.fold([recorded])

    def _observe_judged(self, before: Task | None, recorded: RecordedEvent) -> None:
        self._judge(before, recorded)
        if self._observe is not None:
            self._observe(before, recorded)

    def _judge(self, before: Task | None, recorded: RecordedEvent) -> bool:
        """Tell of an event that no command can make, whatever came before it; `before` is the task as the board has it.

        Whether it is sound, and all that came before it.
        """
        task = recorded.task
        if task in self._meant:
            before = self._meant[task]
        elif task in self._unmade and type(recorded.data) not in CREATIONS:
            # What follows from a creation that is damage is no damage of its own.
            self._tell(recorded, flaw_in(recorded))
            return False
        is_unsure = task in self._unsure
        flaw = flaw_in(recorded) if is_unsure else flaw_of(before, recorded)
        self._tell(recorded, flaw or self._circle_of(recorded))
        if flaw is None and task not in self._meant:
            self._unmade.discard(task)
            return not is_unsure
        if before is None and flaw is not None:
            if recorded.type in _CREATION_TYPES:
                self._unmade.add(task)
        else:
            says_what_was_meant = flaw_in(recorded) is None and type(recorded.data) not in CREATIONS
            (self._unsure.discard if says_what_was_meant else self._unsure.add)(task)
            self._meant[task] = _as_meant(before, recorded)
        return False

    def _circle_of(self, recorded: RecordedEvent) -> str | None:
        """What is wrong where an event puts its task below itself; only who has all tasks can see that."""
        data = recorded.data
        parent = getattr(data, "parent_id", None) if isinstance(data, TaskCreated | TaskMoved) else None
        if parent is None:
            return None
        self._parents.add(parent)
        if recorded.task not in self._parents:
            return None
        seen = {parent}
        while parent != recorded.task:
            above = self.board.get(parent)
            parent = None if above is None else above.parent_id
            if parent is None or parent in seen:
                return None
            seen.add(parent)
        return "it puts the task below itself"

    def _tell(self, recorded: RecordedEvent, flaw: str | None) -> None:
        if flaw is not None:
            problem = f"no command can make this event of task {recorded.task}: {flaw}"
            self._find(FindingKind.EVENT, recorded.position, problem)

    def _find(self, kind: FindingKind, where: str, problem: str) -> None:
        self.findings.append(Finding(kind=kind, where=where, problem=problem))


def _as_meant(task: Task | None, recorded: RecordedEvent) -> Task | None:
    """The task had its event been taken, whatever its state was; as it was, where the event does not say what was meant."""
    meant = copy(task)
    if meant is not None:
        meant.damaged_at = None
        meant.version = recorded.version - 1
        _let_take(meant, recorded)
    meant = evolve_known(meant, recorded)
    if meant is not None:
        meant.damaged_at = None
    return meant


def _let_take(task: Task, recorded: RecordedEvent) -> None:
    """Put the task into a state in which it takes the event, where only its state is in the way."""
    states = STATES[type(recorded.data)]
    if states and task.state not in states and flaw_in(recorded) is None:
        task.state = min(states)
